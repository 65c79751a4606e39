/**
 * A disk into the object store and back, beside what qemu-img and cp do with the same disk and a file. Ours runs as it
 * does for real: a detached task reads an export over NBD, names, compresses, encrypts and stores chunks, each synced.
 */
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, opendir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RestoreOutcome, UploadOutcome, UploadWork } from '../src/drivers/backups/work.ts'
import { run } from '../src/lib/run.ts'
import { newId } from '../src/model/ids.ts'
import { uploadWork } from '../test/backup-stage.ts'
import { serveDisk, writePattern } from '../test/qemu-nbd.ts'
import { chunkStages } from './backup-stages.ts'
import { best, COLUMNS, type Measured, MIB, measured, openBackupTasks, row, uploadRow } from './backup-tasks.ts'
import { bench, printRatio, printTable, readOptions, round } from './tools.ts'

/** MiB of data on the disk, and of changes before the second backup; the best of so many runs counts. */
const options = readOptions({ data: 1024, changes: 5, rounds: 2 })
const DISK_BYTES = 4 * Math.max(options.data, 16) * MIB
const BITMAP = 'mark'

await bench(async (scope) => {
  const tasks = await openBackupTasks(scope)
  const { folder, sealedKey } = tasks

  const disk = join(folder, 'disk.qcow2')
  await makeDisk(disk, join(folder, 'raw'))
  await run('qemu-img', ['bitmap', '--add', '-f', 'qcow2', disk, BITMAP])
  const server = await serveDisk(scope, { file: disk, format: 'qcow2', bitmap: BITMAP })
  const { socket, exportName } = server
  const source = { kind: 'nbd' as const, socket, exportName, dirtyBitmap: null, baseExport: null }
  const work = (more: Partial<UploadWork> = {}): UploadWork =>
    uploadWork(newId('backup'), { source, diskBytes: DISK_BYTES, sealedKey, ...more })
  const image = join(folder, 'image.qcow2')
  const convert = () =>
    run('qemu-img', ['convert', '-U', '-c', '-O', 'qcow2', '-o', 'compression_type=zstd', '-f', 'qcow2', disk, image])

  // In turns, so that a busy machine is busy for both.
  const [converts, fulls]: [Measured<string>[], Measured<UploadOutcome>[]] = [[], []]
  let firstId = newId('backup')
  for (let round = 0; round < options.rounds; round++) {
    await rm(image, { force: true })
    converts.push(await measured(convert))
    const input = work()
    firstId = input.backupId
    fulls.push(await tasks.run<UploadOutcome>('backup-upload', input))
  }
  const imageBytes = (await stat(image)).blocks * 512
  const full = fulls.at(-1)!.value

  await server.stop()
  const places = Array.from({ length: 5 }, () => Math.floor(Math.random() * options.data))
  const changed = Math.ceil((options.changes * 16) / places.length) * 64 * 1024
  for (const at of places) await writePattern(disk, at * MIB, changed, 0x5a)
  await serveDisk(scope, { file: disk, format: 'qcow2', bitmap: BITMAP })
  const knownFile = await tasks.know(full)
  const next = work({
    source: { ...source, dirtyBitmap: `qemu:dirty-bitmap:${BITMAP}` },
    base: { backupId: firstId, manifestBlobId: full.manifestBlobId, manifestBytes: full.manifestBytes },
    knownFile,
  })
  const incremental = await tasks.run<UploadOutcome>('backup-upload', next)
  const unmarked = await tasks.run<UploadOutcome>('backup-upload', work({ knownFile }))

  const restored = join(folder, 'restored.qcow2')
  const { manifestBlobId, manifestBytes } = incremental.value
  const [restores, copies]: [Measured<RestoreOutcome>[], Measured<string>[]] = [[], []]
  for (let round = 0; round < options.rounds; round++) {
    const input = { backupId: next.backupId, sealedKey: next.sealedKey, manifestBlobId, manifestBytes }
    const wanted = { ...input, file: restored, format: 'qcow2', owner: null }
    restores.push(await tasks.run<RestoreOutcome>('backup-restore', wanted))
    const copy = join(folder, 'copy.qcow2')
    copies.push(await measured(() => run('sh', ['-c', 'cp "$1" "$2" && sync "$2"', 'sh', disk, copy])))
  }
  await run('qemu-img', ['compare', '-q', '-U', disk, restored])

  printTable(COLUMNS, [
    row('qemu-img convert -c, zstd', best(converts), full.readBytes, imageBytes),
    uploadRow('full backup', best(fulls)),
    uploadRow(`after ${options.changes} MiB changed`, incremental),
    uploadRow('the same without a mark', unmarked),
    row('cp and sync', best(copies)),
    row('restore', best(restores)),
  ])
  const ratio = (what: string, ours: Measured<unknown>, other: Measured<unknown>, aim: string) => {
    printRatio(what, ours.ms, other.ms, aim)
    printRatio(`${what}, CPU`, ours.cpuMs, other.cpuMs, '-')
  }
  ratio('full backup / qemu-img convert', best(fulls), best(converts), '<= 3, wish 1.2')
  ratio('incremental / full backup', incremental, best(fulls), '-')
  ratio('restore / cp', best(restores), best(copies), '-')
  printRatio('stored / data', full.storedBytes, full.dataBytes, '-')

  console.log('\nwhere the time of a full backup goes, each alone and on one thread:')
  const { rows, totalMs } = await chunkStages(join(folder, 'raw'), tasks.keys, join(folder, 'alone'))
  printTable(
    ['stage', 'ms', 'share', 'MiB/s'],
    rows.map(({ stage, ms, bytes }) => [
      stage,
      round(ms, 0),
      `${round((100 * ms) / totalMs, 0)} %`,
      round(bytes / MIB / (ms / 1000), 0),
    ]),
  )
})

/** What lies on a guest's disk: this machine's own programs and files, and some that cannot be compressed. */
async function makeDisk(disk: string, raw: string): Promise<void> {
  const handle = await open(raw, 'w')
  await handle.truncate(DISK_BYTES)
  let left = options.data * MIB
  let at = 0
  const put = async (bytes: Buffer) => {
    const part = bytes.subarray(0, left)
    await handle.write(part, 0, part.length, at)
    at += part.length
    left -= part.length
  }
  const dense = Math.floor(left / 8)
  for (let made = 0; made < dense; made += MIB) await put(randomBytes(Math.min(MIB, dense - made)))
  const files = await opendir('/usr', { recursive: true })
  for await (const file of files) {
    if (left === 0) break
    if (!file.isFile()) continue
    for await (const piece of createReadStream(join(file.parentPath, file.name))) if (left > 0) await put(piece)
    const rest = at % 4096 // files begin at a block
    if (rest > 0) at += 4096 - rest
  }
  await handle.sync()
  await handle.close()
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, disk])
}
