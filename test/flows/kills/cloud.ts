/**
 * One cloud of real processes with one real machine, whose backups go to a store that can be taken away. The caller is
 * a patient client of the API: it asks again, with the same Idempotency-Key, until there is an answer.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { restoreBackup } from '../../../src/drivers/backups/restore.ts'
import { run } from '../../../src/drivers/compute/qemu/host/command.ts'
import { filesOf } from '../../../src/drivers/compute/qemu/record.ts'
import { waitFor } from '../../../src/lib/wait.ts'
import type { AppContext } from '../../../src/main/context.ts'
import type { BackupId, InstanceId } from '../../../src/model/ids.ts'
import * as restores from '../../../src/store/restores.ts'
import type { Havn } from '../../havn.ts'
import { type MachineCloud, startMachineCloud } from '../../machine-cloud.ts'
import { CATALOG } from '../../make.ts'
import { digestOfFile } from './disk-files.ts'
import { type Gate, installGate } from './gate.ts'
import { type Store, startStore } from './store.ts'

export const WORK_MS = 600_000 // on a busy machine without KVM
const ANSWER_MS = 120_000
const PLAN = { id: 'tiny', memoryMib: 192, diskGib: 1 }

export interface KillCloud {
  havn: Havn
  context: AppContext
  store: Store
  gate: Gate
  machineId: InstanceId
  /** Asked until there is an answer that is no trouble of the server's. */
  ask<T>(method: string, path: string, body?: object): Promise<T>
  up(): Promise<void>
  /** Runs in a guest; the words it prints. */
  inside(name: string, command: string): Promise<string>
  /** Of a file in the guest, as the backup's bytes have it. */
  digestInBackup(id: BackupId, file: string): Promise<string>
  /** The same of a machine that is stopped. */
  digestOnDisk(id: InstanceId, file: string): Promise<string>
  close(): Promise<void>
}

export async function startKillCloud(): Promise<KillCloud> {
  const store = await startStore()
  const scratch = mkdtempSync(join(tmpdir(), 'hv-kills-'))
  const catalog = join(scratch, 'catalog.json')
  writeFileSync(catalog, JSON.stringify({ ...CATALOG, plans: [{ ...CATALOG.plans[0], ...PLAN }] }))
  const { region, bucket, prefix, accessKeyId, secretAccessKey } = store.cluster.options
  const settings = {
    HAVN_CATALOG: catalog,
    HAVN_SHUTDOWN_SECONDS: '30',
    HAVN_BACKUP_GRACE_MINUTES: '0',
    HAVN_OBJECTS: 's3',
    HAVN_OBJECTS_S3_ENDPOINT: store.endpoint,
    HAVN_OBJECTS_S3_REGION: region,
    HAVN_OBJECTS_S3_BUCKET: bucket,
    HAVN_OBJECTS_S3_PREFIX: prefix,
    HAVN_OBJECTS_S3_ACCESS_KEY_ID: accessKeyId,
    HAVN_OBJECTS_S3_SECRET_ACCESS_KEY: secretAccessKey,
  }
  async function close(): Promise<void> {
    store.comeBack()
    await machines?.close()
    await store.close()
    rmSync(scratch, { recursive: true, force: true })
  }
  let machines: MachineCloud | null = null
  try {
    machines = await startMachineCloud(settings)
    const { havn, context, first, inside } = machines
    return {
      ...{ havn, context, store, inside, close },
      machineId: first.id as InstanceId,
      gate: await installGate(context.db, context.databaseUrl),
      ask: clientOf(havn),
      ...readersOf(context, scratch),
      async up() {
        const { code, out, err } = await havn.run('up --detach --empty')
        assert.equal(code, 0, out + err)
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

function clientOf({ env, paths }: Havn): KillCloud['ask'] {
  const { apiKey } = JSON.parse(readFileSync(paths.credentials, 'utf8')) as { apiKey: string }
  return async <T>(method: string, path: string, body?: object): Promise<T> => {
    const init = {
      method,
      headers: {
        authorization: `Bearer ${apiKey}`,
        'idempotency-key': randomUUID(),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    }
    let last = 'nobody answers'
    const once = async (): Promise<{ answer: T } | null> => {
      const response = await fetch(`http://${env.HAVN_LISTEN}/havn/v1${path}`, init).catch(() => null)
      const text = await response?.text().catch(() => null) // it may be cut off in the middle
      if (!response || typeof text !== 'string') return null
      last = `${response.status} ${text}`
      if (response.ok) return { answer: JSON.parse(text) as T }
      assert.ok(response.status >= 500 || response.status === 409, `${method} ${path}: ${last}`)
      return null
    }
    const found = await waitFor(once, { timeoutMs: ANSWER_MS })
    assert.ok(found, `${method} ${path} has no answer within ${ANSWER_MS / 1_000} s: ${last}`)
    return found.answer
  }
}

function readersOf(
  { db, objects, settings: { masterKey }, paths }: AppContext,
  scratch: string,
): Pick<KillCloud, 'digestInBackup' | 'digestOnDisk'> {
  const raw = join(scratch, 'disk.raw')
  return {
    async digestInBackup(backupId, file) {
      const source = await restores.sourceOf(db, backupId)
      assert.ok(source, `${backupId} is not completed`)
      await objects.open()
      const work = { backupId, ...source, file: raw, format: 'raw' as const, owner: null }
      await restoreBackup(work, { objects, masterKey, report: () => {} })
      return digestOfFile(raw, file).finally(() => rm(raw))
    },
    async digestOnDisk(id, file) {
      await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', filesOf(paths, id).disk(1), raw])
      return digestOfFile(raw, file).finally(() => rm(raw))
    },
  }
}
