import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { backupStage, MIB } from '../../../test/backup-stage.ts'
import { serveMoment } from '../../../test/qemu-nbd.ts'
import { run } from '../../lib/run.ts'

const BASE = 200 * MIB - 4096
const DISK = 256 * MIB

/** `[pattern, offset, length]` each; no pattern is zeros that are no bytes of the file. */
const write = (file: string, format: string, pieces: readonly (readonly [number | null, number, number])[]) =>
  run('qemu-io', [
    ...['-f', format, file],
    ...pieces.flatMap(([pattern, at, length]) => {
      const how = pattern === null ? '-z' : `-P ${pattern}`
      return ['-c', `write -q ${how} ${at} ${length}`]
    }),
  ])

test('of a running disk over an image, what neither of them holds is not read', async (t) => {
  const stage = await backupStage(t)
  const [base, file, copy] = ['base', 'disk', 'copy'].map((name) => join(stage.folder, `${name}.qcow2`)) as [
    string,
    string,
    string,
  ]
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', base, String(BASE)])
  await write(base, 'qcow2', [
    [1, 0, 2 * MIB],
    [2, 80 * MIB - 512, MIB],
    [3, BASE - 4096, 4096],
  ])
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, file, String(DISK)])
  await write(file, 'qcow2', [
    [4, MIB, MIB],
    [5, 40 * MIB + 1024, MIB],
    [null, 80 * MIB, MIB / 2], // zeros over what the image holds
    [6, 240 * MIB, MIB], // behind the image's end
  ])
  const moment = join(stage.folder, 'moment.raw')
  await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', file, moment])
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', copy, String(DISK)])
  const { socket, exportName, baseExport, guest } = await serveMoment(t, { file, base, copy })
  await write(guest, 'raw', [
    [7, 0, 512], // over the image's
    [7, 41 * MIB, 4096], // over its own
    [7, 120 * MIB, 2 * MIB], // where nothing was
    [7, 199 * MIB, 2 * MIB], // over the image's end
    [null, 80 * MIB - 4096, 8192],
  ])

  const source = { kind: 'nbd' as const, socket, exportName, dirtyBitmap: null, baseExport: null }
  const sameAsMoment = (restored: string) =>
    run('qemu-img', ['compare', '-q', '-f', 'raw', '-F', 'raw', restored, moment])
  const frugal = await stage.upload({ source: { ...source, baseExport }, diskBytes: DISK })
  await sameAsMoment((await stage.restore(frugal)).file)
  const data = 6.5 * MIB
  const copied = 6 * MIB // QEMU keeps what the guest writes over, whether it was data or not
  assert.ok(frugal.readBytes <= data + copied, `it read ${frugal.readBytes} bytes`)

  const plain = await stage.upload({ source, diskBytes: DISK })
  assert.ok(plain.readBytes > 180 * MIB, `it read ${plain.readBytes} bytes`)
  await sameAsMoment((await stage.restore(plain)).file)
  assert.equal(plain.dataBytes, frugal.dataBytes)

  const gone = stage.upload({ source: { ...source, baseExport: 'other' }, diskBytes: DISK })
  await assert.rejects(gone, { code: 'not_found' })
})
