/**
 * `./havn rescue`: disks out of the object store when all else is gone. It reads `keys/master.key` and the store that
 * HAVN_HOME or HAVN_OBJECTS name, and needs no database and no Havn that runs; it writes nothing but the image.
 */
import { access, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { CliError } from '../cli/exit.ts'
import { bytes, json, table } from '../cli/output.ts'
import { type FoundBackup, findBackups, type LostBackup } from '../drivers/backups/rescue.ts'
import { restoreBackup } from '../drivers/backups/restore.ts'
import { syncFolder } from '../lib/files.ts'
import { pathsOf } from '../lib/paths.ts'
import { CHUNK_BYTES } from '../model/backup.ts'
import { readConfig } from './config.ts'
import { readMasterKey } from './keys.ts'
import { createObjects } from './objects.ts'

export interface RescueOptions {
  /** Text id; null = list what there is. */
  backup: string | null
  file: string | null
  format: 'qcow2' | 'raw'
  asJson: boolean
}

const PATIENCE_MS = 30_000

export async function rescue(options: RescueOptions, print: (line: string) => void): Promise<void> {
  const config = readConfig(process.env)
  const paths = pathsOf(config.home)
  const masterKey = await readMasterKey(paths)
  // Opening a store makes it where it is missing, and there is nothing to rescue from one that is new.
  if (config.storage.objects.driver === 'filesystem') await mustBeThere(paths.objects)
  const objects = createObjects(config, paths)
  try {
    await objects.open()
    const patience = { patienceMs: PATIENCE_MS, signal: new AbortController().signal }
    const found: FoundBackup[] = []
    const lost: LostBackup[] = []
    for await (const one of findBackups(objects, masterKey, patience)) {
      if ('problem' in one) lost.push(one)
      else found.push(one)
    }
    found.sort((a, b) => b.header.pointAt.localeCompare(a.header.pointAt))
    if (options.backup === null) return print(listing(found, lost, options))
    const wanted = found.find(({ backupId }) => backupId === options.backup)
    if (!wanted) throw new CliError('notFound', `no backup ${JSON.stringify(options.backup)} in this store`)
    const file = resolve(options.file ?? `${wanted.backupId}.${options.format}`)
    const draft = `${file}.part`
    try {
      const tools = { objects, masterKey, report: () => {} }
      await restoreBackup({ ...wanted, file: draft, format: options.format, owner: null }, tools)
      await rename(draft, file)
      await syncFolder(dirname(file))
    } finally {
      await rm(draft, { force: true })
    }
    print(options.asJson ? json({ backup: wanted.backupId, file }) : `${file}: every chunk verified`)
  } finally {
    await objects.close()
  }
}

async function mustBeThere(folder: string): Promise<void> {
  await access(folder).catch(() => {
    throw new CliError('notFound', `there is no ${folder}: put the object store there, or name one with HAVN_OBJECTS`)
  })
}

function listing(found: readonly FoundBackup[], lost: readonly LostBackup[], { asJson }: RescueOptions): string {
  const shown = found.map(({ sealedKey: _, ...one }) => one)
  if (asJson) return json({ backups: shown, lost })
  const rows = found.map(({ backupId, header, diskBytes, chunks }) => [
    ...[backupId, header.origin.name, header.pointAt, header.consistency],
    ...[bytes(diskBytes), bytes(Math.min(diskBytes, chunks * CHUNK_BYTES))],
  ])
  const unread = lost.map(({ manifestBlobId, problem }) => `manifest ${manifestBlobId} cannot be read: ${problem}`)
  return [table(['BACKUP', 'INSTANCE', 'MOMENT', 'CONSISTENT', 'DISK', 'DATA'], rows), ...unread].join('\n')
}
