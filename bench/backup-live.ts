/**
 * Backups of a running machine, from its own QEMU's export, beside what qemu-img makes of the same export and of the
 * disk once it is stopped; then one after some of it changed, by the mark.
 */
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RestoreOutcome, UploadOutcome } from '../src/drivers/backups/work.ts'
import { filesOf } from '../src/drivers/compute/qemu/record.ts'
import { run } from '../src/lib/run.ts'
import { type BackupId, newId } from '../src/model/ids.ts'
import { uploadWork } from '../test/backup-stage.ts'
import { openMachines } from '../test/machines.ts'
import { best, COLUMNS, type Measured, MIB, measured, openBackupTasks, row, uploadRow } from './backup-tasks.ts'
import { bench, printRatio, printTable, readOptions } from './tools.ts'

/** MiB that the guest writes, and writes before the second backup; the best of so many runs counts. */
const options = readOptions({ data: 256, changes: 5, rounds: 2 })
const BOOT_MS = 240_000
const PIECE_MIB = 32 // what a guest without acceleration writes within the time of one command
const { signal } = new AbortController()

await bench(async (scope) => {
  const tasks = await openBackupTasks(scope)
  const machines = await openMachines()
  scope.after(() => machines.close())
  const driver = machines.create()
  scope.after(() => driver.close())
  await driver.open()
  const spec = machines.spec({ diskGib: 1 + Math.ceil((options.data + options.changes) / 1024) })
  await driver.ensureDisk(spec, signal)
  await driver.ensureRunning(spec, signal)
  if (!(await driver.waitForSsh(spec, BOOT_MS, signal))) throw new Error('the guest did not boot')

  // By turns random, and random with three bytes of four the same: zstd makes a third of that.
  for (let at = 0, piece = 0; at < options.data; at += PIECE_MIB, piece++) {
    const dd = `dd if=/dev/urandom bs=1M count=${Math.min(PIECE_MIB, options.data - at)} 2>/dev/null`
    const thinned = piece % 2 === 0 ? '' : "| tr '\\100-\\377' ' '"
    await machines.ssh(spec, `${dd} ${thinned} > /root/data-${piece} && sync`)
  }

  const open = (name: BackupId, changedSince: BackupId | null) =>
    measured(() => driver.openExport(spec, name, { changedSince }, signal))
  const convert = (image: string, from: string[]) =>
    run('qemu-img', ['convert', '-c', '-O', 'qcow2', '-o', 'compression_type=zstd', ...from, image])

  const first = newId('backup')
  const opened = await open(first, null)
  const { source, diskBytes } = opened.value
  if (source.kind !== 'nbd') throw new Error('a running machine is read over NBD')
  const input = { source, diskBytes, sealedKey: tasks.sealedKey }
  const image = join(tasks.folder, 'image.qcow2')
  const ofExport = ['--image-opts', nbdOptions(source)]
  const [converts, fulls]: [Measured<string>[], Measured<UploadOutcome>[]] = [[], []]
  let firstId = first
  for (let round = 0; round < options.rounds; round++) {
    await rm(image, { force: true })
    converts.push(await measured(() => convert(image, ofExport)))
    firstId = newId('backup')
    fulls.push(await tasks.run<UploadOutcome>('backup-upload', uploadWork(firstId, input)))
  }
  const full = fulls.at(-1)!.value
  const base = { backupId: firstId, manifestBlobId: full.manifestBlobId, manifestBytes: full.manifestBytes }
  const restored = join(tasks.folder, 'restored.qcow2')
  const wanted = { ...base, sealedKey: tasks.sealedKey, file: restored, format: 'qcow2', owner: null }
  await tasks.run<RestoreOutcome>('backup-restore', wanted)
  await run('qemu-img', ['compare', '-q', '-f', 'qcow2', '-F', 'qcow2', image, restored])
  const imageBytes = (await stat(image)).blocks * 512
  await driver.closeExport(spec.id, first, { keep: true }, signal)

  await machines.ssh(spec, `dd if=/dev/urandom of=/root/changes bs=1M count=${options.changes} 2>/dev/null && sync`)
  const second = newId('backup')
  const again = await open(second, first)
  const next = { ...input, source: again.value.source, base, knownFile: await tasks.know(full) }
  const incremental = await tasks.run<UploadOutcome>('backup-upload', uploadWork(second, next))
  await driver.closeExport(spec.id, second, { keep: false }, signal)

  await driver.ensureStopped(spec.id, signal)
  const ofDisk = ['-f', 'qcow2', filesOf(machines.paths, spec.id).disk(spec.generation)]
  const stopped: Measured<string>[] = []
  for (let round = 0; round < options.rounds; round++) {
    await rm(image, { force: true })
    stopped.push(await measured(() => convert(image, ofDisk)))
  }
  const stoppedBytes = (await stat(image)).blocks * 512

  printTable(COLUMNS, [
    row('qemu-img convert of the export', best(converts), undefined, imageBytes),
    row('qemu-img convert of the stopped disk', best(stopped), undefined, stoppedBytes),
    uploadRow('full backup of the running machine', best(fulls)),
    uploadRow(`after ${options.changes} MiB changed`, incremental),
    row('openExport of the first', opened),
    row('openExport of the second', again),
  ])
  const ratio = (what: string, ours: Measured<unknown>, other: Measured<unknown>, aim: string) => {
    printRatio(what, ours.ms, other.ms, aim)
    printRatio(`${what}, CPU`, ours.cpuMs, other.cpuMs, '-')
  }
  ratio('full backup / qemu-img convert of the export', best(fulls), best(converts), '<= 3, wish 1.2')
  ratio('full backup / qemu-img convert of the stopped disk', best(fulls), best(stopped), '<= 3')
  ratio('incremental / full backup', incremental, best(fulls), '-')
  printRatio('bytes added / changed', incremental.value.addedBytes, options.changes * MIB, '-')
  printRatio('stored / data', full.storedBytes, full.dataBytes, '-')
})

function nbdOptions({ socket, exportName }: { socket: string; exportName: string }): string {
  return `driver=nbd,export=${exportName},server.type=unix,server.path=${socket}`
}
