/** What must be true of the whole cloud whenever nothing is under way, whoever was killed before. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { SOCKETS } from '../../../src/drivers/compute/qemu/args.ts'
import { askAgent } from '../../../src/drivers/compute/qemu/guest/agent.ts'
import { connectQmp } from '../../../src/drivers/compute/qemu/qmp.ts'
import { filesOf } from '../../../src/drivers/compute/qemu/record.ts'
import { sweepBackups } from '../../../src/jobs/backup/sweep.ts'
import { auditBlobs } from '../../../src/jobs/objects/audit-blobs.ts'
import { sweepObjects } from '../../../src/jobs/objects/sweep-objects.ts'
import type { ObjectTools } from '../../../src/jobs/tools.ts'
import { waitFor } from '../../../src/lib/wait.ts'
import type { InstanceId } from '../../../src/model/ids.ts'
import { type KillCloud, WORK_MS } from './cloud.ts'

/** Waits until nothing is left to find; throws with what is found to the last. */
export async function audit(cloud: KillCloud): Promise<void> {
  let last: string[] = []
  const isClear = await waitFor(
    async () => {
      last = await findings(cloud).catch((error: Error & { code?: string; severity?: string }) => {
        if (/^42/.test(error.code ?? '')) throw error // the question is wrong, not the database away
        return [`the audit itself: ${error.message}`]
      })
      return last.length === 0
    },
    { timeoutMs: WORK_MS / 4, everyMs: 200 },
  )
  assert.ok(isClear, `left over:\n${last.join('\n')}`)
  await auditStore(cloud)
}

async function findings(cloud: KillCloud): Promise<string[]> {
  const rows = await rowsUnderWay(cloud)
  // What the rows still have to do explains everything else.
  if (rows.length > 0) return rows
  return [...filesLeft(cloud), ...processesLeft(cloud), ...(await hostParts(cloud)), ...(await guestParts(cloud))]
}

async function rowsUnderWay({ context: { db } }: KillCloud): Promise<string[]> {
  const { rows } = await sql<{ what: string }>`
    SELECT 'operation ' || kind || ' of ' || resource_id || ' is ' || state AS what FROM operation
      WHERE state IN ('pending', 'running')
    UNION ALL SELECT 'strand ' || id || ' stands at ' || step || coalesce(': ' || last_error, '') FROM strand
      WHERE kind IN ('instance', 'backup', 'receipt') AND (step NOT IN ('settle', 'kept') OR tries > 0
        OR wake_at <= cloud_now() OR leased_by IS NOT NULL)
    UNION ALL SELECT 'incident ' || kind || ' of ' || strand_id || ': ' || message FROM incident
      WHERE resolved_at IS NULL
    UNION ALL SELECT 'backup ' || id || ' is ' || state || coalesce(': ' || state_reason, '') FROM backup
      WHERE state IN ('creating', 'failed')
    UNION ALL SELECT 'instance ' || id || ' is to be restored' FROM instance WHERE restore_backup_id IS NOT NULL
    UNION ALL SELECT 'instance ' || id || ' is ' || state || coalesce(': ' || state_reason, '') FROM instance
      WHERE state NOT IN ('running', 'stopped', 'deleted')
    UNION ALL SELECT 'receipt ' || id || ' is running' FROM receipt WHERE state = 'running'`.execute(db)
  return rows.map(({ what }) => what)
}

const names = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : [])

function filesLeft({ havn: { paths } }: KillCloud): string[] {
  const tasks = names(paths.tasks).filter((name) => /^(restore|bkp)/.test(name))
  return [...tasks.map((name) => `task ${name}`), ...names(paths.backups).map((name) => `backups/${name}`)]
}

/** Of this home, by their environment: one of each of the control plane, and nobody else. */
function processesLeft({ havn: { paths } }: KillCloud): string[] {
  const mine = names('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const env = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
      if (!env.includes(`HAVN_HOME=${paths.home}`)) return []
      return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()]
    } catch {
      return [] // it has just ended
    }
  })
  const expected = [/^havn up/, /^havn api/, /^havn worker/, /^havn s3-\d+/]
  const strangers = mine.filter((line) => line !== '' && !expected.some((one) => one.test(line)))
  const counts = expected.slice(0, 3).map((one) => [one, mine.filter((line) => one.test(line)).length] as const)
  return [
    ...strangers.map((line) => `process ${line}`),
    ...counts.filter(([, count]) => count !== 1).map(([one, count]) => `${count} processes ${one}`),
  ]
}

async function hostParts({ havn, context: { db } }: KillCloud): Promise<string[]> {
  const rows = await db
    .selectFrom('instance')
    .select(['id', 'state'])
    .where((eb) => eb.exists(eb.selectFrom('strand').select('id').whereRef('strand.id', '=', 'instance.id')))
    .execute()
  const states = new Map(rows.map(({ id, state }) => [id as string, state]))
  const resources = await havn.driver().resources()
  const bad = resources.filter(({ kind, name, instanceId }) => {
    if (instanceId === null || !states.has(instanceId)) return true
    if (/prepared|disk-check|screen\.png|export|freeze|watchdog|qemu-nbd|\.(new|tmp)/.test(name)) return true
    return kind === 'process' && states.get(instanceId) !== 'running'
  })
  const machines = resources.filter(({ kind }) => kind === 'process').length
  const running = rows.filter(({ state }) => state === 'running').length
  return [
    ...bad.map(({ kind, name, instanceId }) => `${kind} ${name} of ${instanceId}`),
    ...(machines === running ? [] : [`${machines} processes of ${running} running machines`]),
  ]
}

/** The block graph of each running machine is as at its start, and its file systems are not frozen. */
async function guestParts({ havn: { paths }, context: { db } }: KillCloud): Promise<string[]> {
  const running = await db.selectFrom('instance').select('id').where('state', '=', 'running').execute()
  const found: string[] = []
  for (const { id } of running) {
    const { run } = filesOf(paths, id as InstanceId)
    const qmp = await connectQmp(join(run, SOCKETS.tools))
    try {
      const nodes = await qmp.execute<{ 'node-name': string; 'dirty-bitmaps'?: { name?: string }[] }[]>(
        'query-named-block-nodes',
        { flat: true },
      )
      const exports = await qmp.execute<{ id: string }[]>('query-block-exports')
      const bitmaps = nodes.flatMap((node) => node['dirty-bitmaps'] ?? []).map(({ name = '' }) => name)
      const parts = [...nodes.map((node) => node['node-name']), ...exports.map((one) => one.id), ...bitmaps]
      found.push(...parts.filter((name) => name.startsWith('export')).map((name) => `${name} in the QEMU of ${id}`))
      if (bitmaps.filter((name) => name.startsWith('bkp_')).length > 1) found.push(`marks ${bitmaps} in ${id}`)
    } finally {
      qmp.close()
    }
    const status = await askAgent(join(run, SOCKETS.agent), 'guest-fsfreeze-status')
    if (status !== 'thawed') found.push(`the file systems of ${id} are ${status}`)
  }
  return found
}

/** After a sweep without any grace the store holds what the rows name, and each of its bytes counts once. */
async function auditStore({ context: { db, objects }, store: { cluster } }: KillCloud): Promise<void> {
  const patience = { releasedGraceSeconds: 0, orphanGraceSeconds: 0, scrubBytes: 0, backupGraceMinutes: 0 }
  const tools: ObjectTools = { db, objects, storage: patience, log: () => {} }
  const { signal } = new AbortController()
  // What a start tried out when it was killed is kept for some hours, because another may be trying it out.
  const tried = ([key]: [string, object]) => key.includes('/probe-')
  for (const [, object] of [...cluster.objects].filter(tried)) object.modifiedAt = new Date(0)
  for (const upload of cluster.uploads.values()) if (upload.key.includes('/probe-')) upload.startedAt = new Date(0)
  let last = ''
  const isEqual = await waitFor(
    async () => {
      for (const reconciler of [sweepBackups, auditBlobs, sweepObjects]) await reconciler.run(tools, signal)
      const blobs = await db.selectFrom('blob').select(['id', 'stored_bytes']).execute()
      const { rows: owned } = await sql<{ id: string }>`SELECT blob_id AS id FROM backup_chunk
        UNION ALL SELECT manifest_blob_id FROM backup WHERE manifest_blob_id IS NOT NULL`.execute(db)
      const ofRows = blobs.map((blob) => `${blob.id.replaceAll('-', '')} ${blob.stored_bytes}`).sort()
      const ofStore = [...cluster.objects].map(([key, { body }]) => `${key.split('/').at(-1)} ${body.length}`).sort()
      last = `${blobs.length} blobs, ${owned.length} owned, ${cluster.objects.size} objects, ${cluster.uploads.size} uploads`
      if (String(ofRows) !== String(ofStore)) last += `\nrows ${ofRows.slice(0, 3)}\nstore ${ofStore.slice(0, 3)}`
      return String(ofRows) === String(ofStore) && owned.length === blobs.length && cluster.uploads.size === 0
    },
    { timeoutMs: 60_000, everyMs: 500 },
  )
  assert.ok(isEqual, `the store does not hold what the rows name: ${last}`)
  const spoilt = await db.selectFrom('backup').select('damage').where('damaged_at', 'is not', null).execute()
  assert.deepEqual(spoilt, [])
}
