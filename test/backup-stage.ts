/** A disk file, an object store and the account's key: what the programs of backups need, without a cloud. */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newSealedKey } from '../src/drivers/backups/keys.ts'
import { restoreBackup } from '../src/drivers/backups/restore.ts'
import { uploadBackup } from '../src/drivers/backups/upload.ts'
import type { RestoreOutcome, RestoreWork, UploadOutcome, UploadWork } from '../src/drivers/backups/work.ts'
import type { DiskSource } from '../src/drivers/compute/compute.ts'
import { createFilesystemObjects } from '../src/drivers/objects/filesystem.ts'
import type { ObjectsDriver } from '../src/drivers/objects/objects.ts'
import { type BackupId, newId } from '../src/model/ids.ts'

export interface BackupStage {
  folder: string
  masterKey: Buffer
  sealedKey: string
  objects: ObjectsDriver
  upload(work: Partial<UploadWork> & Pick<UploadWork, 'source' | 'diskBytes'>, kept?: string): Promise<Uploaded>
  restore(uploaded: Uploaded, work?: Partial<RestoreWork>): Promise<RestoreOutcome & { file: string }>
}
export interface Uploaded extends UploadOutcome {
  backupId: BackupId
}

export const MIB = 1024 * 1024

export async function backupStage(
  t: { after(fn: () => Promise<void>): void },
  options: { objects?: ObjectsDriver; masterKey?: Buffer; patienceMs?: number } = {},
): Promise<BackupStage> {
  const folder = await mkdtemp(join(tmpdir(), 'havn-backup-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const masterKey = options.masterKey ?? randomBytes(32)
  const sealedKey = newSealedKey(masterKey).toString('base64')
  const objects = options.objects ?? createFilesystemObjects({ folder: join(folder, 'objects') })
  if (!options.objects) await mkdir(join(folder, 'objects'))
  await objects.open()
  const patienceMs = options.patienceMs ?? 20_000
  const tools = { objects, masterKey, report: () => {}, patienceMs }
  let runs = 0
  return {
    folder,
    masterKey,
    sealedKey,
    objects,
    async upload(work, kept = join(folder, `kept-${++runs}`)) {
      const backupId = work.backupId ?? newId('backup')
      await mkdir(kept, { recursive: true })
      const outcome = await uploadBackup(uploadWork(backupId, { sealedKey, ...work }), { ...tools, folder: kept })
      return { ...outcome, backupId }
    },
    async restore({ backupId, manifestBlobId, manifestBytes }, work = {}) {
      const file = join(folder, `restored-${++runs}`)
      const all: RestoreWork = {
        backupId,
        sealedKey,
        manifestBlobId,
        manifestBytes,
        file,
        format: 'raw',
        owner: null,
        ...work,
      }
      return { ...(await restoreBackup(all, tools)), file: all.file }
    },
  }
}

export function uploadWork(
  backupId: BackupId,
  work: Partial<UploadWork> & Pick<UploadWork, 'source' | 'diskBytes' | 'sealedKey'>,
): UploadWork {
  const origin = {
    name: 'one',
    hostname: 'one.example',
    regionId: 'local',
    planId: 'vps-1gb-1cpu',
    imageId: 'micro',
    vcpus: 1,
    memoryMib: 256,
    diskGib: 1,
  }
  const header = {
    origin,
    pointAt: '2026-01-02T03:04:05.000Z',
    consistency: 'off' as const,
    consistencyReason: null,
    frozenMs: null,
  }
  return { backupId, base: null, knownFile: null, header, ...work }
}

/** A sparse raw disk with these bytes in it, and the source that says where they are. */
export async function rawDisk(
  file: string,
  diskBytes: number,
  pieces: { offset: number; bytes: Uint8Array }[],
): Promise<Extract<DiskSource, { kind: 'file' }>> {
  const handle = await open(file, 'w')
  await handle.truncate(diskBytes)
  for (const { offset, bytes } of pieces) await handle.write(bytes, 0, bytes.length, offset)
  await handle.close()
  return {
    kind: 'file',
    path: file,
    extents: pieces.map(({ offset, bytes }) => ({ offset, length: bytes.length })),
  }
}
