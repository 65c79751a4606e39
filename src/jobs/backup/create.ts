/** The steps that make a backup: a moment of the disk is opened, read into the object store, and published. */
import { z } from 'zod'
import { SOURCE_GONE, type UploadWork } from '../../drivers/backups/work.ts'
import type { DiskExport } from '../../drivers/compute/compute.ts'
import { CONSISTENCY_LEVELS } from '../../model/backup.ts'
import type { BackupId } from '../../model/ids.ts'
import type { InstanceState } from '../../model/instance.ts'
import * as chunks from '../../store/backup-chunks.ts'
import * as keys from '../../store/backup-keys.ts'
import * as backups from '../../store/backups.ts'
import * as incidents from '../../store/incidents.ts'
import * as instances from '../../store/instances.ts'
import * as operations from '../../store/operations.ts'
import * as strands from '../../store/strands.ts'
import { goto, type Outcome, type StepContext, type StrandState, wait } from '../engine/strand.ts'
import type { WorkerTools } from '../tools.ts'
import { automaticOf, giveUp } from './failure.ts'

type Context = StepContext<WorkerTools>

/** States in which somebody makes the instance a disk. */
const WITHOUT_DISK: readonly InstanceState[] = ['provisioning', 'rebuilding', 'restoring']
/** However often the store or the host was away meanwhile. */
const GIVE_UP_MS = 24 * 3_600_000
const WAIT_MS = 2_000
const FULL_WAIT_MS = 30_000
const WATCH_MS = 500
/** How often the moment may slip away (the guest was stopped or started), the task die, or a chunk go meanwhile. */
const TRIES_MAX = 5
const PAUSE_MS_FIRST = 1_000
const PAUSE_MS_MAX = 5 * 60_000
/** A pause this long is not worth holding a moment for: what the guest writes meanwhile fills the host's disk. */
const PAUSE_MS_OPEN = 2 * 60_000

/** The strand's memory. */
const Memory = z.object({
  /** How often something went wrong, of each kind. */
  gone: z.int().default(0),
  died: z.int().default(0),
  stale: z.int().default(0),
  away: z.int().default(0),
  /** Milliseconds since 1970: the pause after a failure is over. */
  pausedUntil: z.number().nullable().default(null),
  /** Input of the task, but for the key, which is never written down. */
  work: z.looseObject({}).nullable().default(null),
  point: z
    .object({
      at: z.coerce.date(),
      consistency: z.enum(CONSISTENCY_LEVELS),
      consistencyReason: z.string().nullable(),
      frozenMs: z.int().nullable(),
    })
    .nullable()
    .default(null),
  result: z.unknown().optional(),
})

/** A moment of the disk can be read, and the task knows what it need not bring. */
export async function open(context: Context): Promise<Outcome<'upload' | 'undo' | 'open'>> {
  const { id, db, tools, signal } = context
  const backupId = id as BackupId
  const it = await backups.subject(db, backupId)
  if (it.isInstanceDeleted || it.instanceHostId === null) {
    return giveUp(backupId, 'conflict', 'the instance was deleted before its disk was read')
  }
  if ((await tools.now(db)).getTime() - it.createdAt.getTime() > GIVE_UP_MS) {
    return giveUp(backupId, 'unavailable', 'it could not be made within a day')
  }
  const obstacle = await obstacleOf(context, it)
  if (obstacle) return wait(obstacle.ms, (tx) => operations.report(tx, id, { message: obstacle.message }))
  if (it.instanceHostId !== it.hostId) return moveOn(backupId, it.instanceHostId)

  // Before another moment is opened under the same name: a task must never read two.
  await tools.tasks.reset(id)
  const base = await backups.findBase(db, it.instanceId)
  const spec = await instances.spec(db, it.instanceId)
  const disk = inWholeMs(await tools.compute.openExport(spec, id, { changedSince: base?.id ?? null }, signal))
  const memory = Memory.parse(context.state)
  return {
    kind: 'goto',
    step: 'upload',
    state: {
      ...memory,
      pausedUntil: null,
      work: {
        ...workOf(it, disk, base),
        knownFile: await tools.backups.writeKnown(backupId, chunks.known(db, it.accountId)),
      },
      point: pointOf(disk),
    },
    write: (tx) => operations.report(tx, id, { message: 'the disk is read' }),
  }
}

/** What is measured comes in fractions; what is kept does not. */
const inWholeMs = (disk: DiskExport): DiskExport => ({
  ...disk,
  frozenMs: disk.frozenMs === null ? null : Math.round(disk.frozenMs),
})

async function obstacleOf({ db }: Context, it: backups.Subject): Promise<{ message: string; ms: number } | null> {
  if (WITHOUT_DISK.includes(it.instanceState)) {
    return { message: `waiting while the instance is ${it.instanceState}`, ms: WAIT_MS }
  }
  const earlier = await backups.findEarlierBusy(db, it.instanceId, it.number)
  if (earlier) return { message: `waiting until ${earlier} is out of the way`, ms: WAIT_MS }
  if (it.isHostFull) return { message: "waiting for room on the host's disk", ms: FULL_WAIT_MS }
  return null
}

const moveOn = (id: BackupId, hostId: NonNullable<backups.Subject['hostId']>): Outcome<'open'> => ({
  kind: 'goto',
  step: 'open',
  handOver: true,
  async write(tx) {
    await backups.setHost(tx, id, hostId)
    await strands.setHost(tx, id, hostId)
  },
})

const pointOf = ({ pointAt, consistency, consistencyReason, frozenMs }: DiskExport) => ({
  at: pointAt.toISOString(),
  consistency,
  consistencyReason,
  frozenMs,
})

type Base = Awaited<ReturnType<typeof backups.findBase>>

/** What the task is told, but for the key. A base helps only a source that tells what changed since. */
function workOf(
  it: backups.Subject,
  { source, diskBytes, ...disk }: DiskExport,
  base: Base,
): Omit<UploadWork, 'sealedKey' | 'knownFile'> {
  const tellsChanges = source.kind === 'nbd' && source.dirtyBitmap !== null
  return {
    backupId: it.id,
    source,
    diskBytes,
    base:
      base && tellsChanges && base.diskBytes === diskBytes
        ? { backupId: base.id, manifestBlobId: base.manifestBlobId, manifestBytes: base.manifestBytes }
        : null,
    header: {
      origin: it.origin,
      pointAt: disk.pointAt.toISOString(),
      consistency: disk.consistency,
      consistencyReason: disk.consistencyReason,
      frozenMs: disk.frozenMs,
    },
  }
}

export async function upload(context: Context): Promise<Outcome<'publish' | 'open' | 'upload' | 'undo'>> {
  const { id, tools, state } = context
  const memory = Memory.parse(state)
  const task = await tools.tasks.read(id)
  switch (task.state) {
    case 'absent':
      await start(context)
      return wait(WATCH_MS)
    case 'vanished':
      if (memory.died >= TRIES_MAX) {
        return giveUp(id as BackupId, 'unavailable', `the upload died ${memory.died + 1} times without saying why`)
      }
      await start(context)
      return { kind: 'wait', ms: WATCH_MS, state: { ...memory, died: memory.died + 1 } }
    case 'running':
      return wait(WATCH_MS, (tx) => operations.report(tx, id, { message: task.message, percent: task.percent }))
    case 'done':
      return { kind: 'goto', step: 'publish', state: { ...memory, result: task.value } }
    case 'failed': {
      const { code = 'unavailable', message = 'it failed without saying why' } = task.error ?? {}
      if (code === SOURCE_GONE) return reopen(id as BackupId, memory, 'gone', 'the instance was stopped or started')
      if (code === 'unavailable') return pause(context, memory, message)
      return giveUp(id as BackupId, code, message)
    }
  }
}

async function start({ id, db, tools, state }: Context): Promise<void> {
  const { accountId } = await backups.subject(db, id as BackupId)
  const key = await keys.ensure(db, accountId, tools.backups.newKey)
  await tools.tasks.ensureStarted(id, 'backup-upload', {
    ...Memory.parse(state).work,
    sealedKey: key.toString('base64'),
  })
}

/** Another moment, with what was uploaded so far still good. */
function reopen(
  id: BackupId,
  memory: z.infer<typeof Memory>,
  kind: 'gone' | 'stale',
  what: string,
): Outcome<'open' | 'undo'> {
  const tries = memory[kind] + 1
  if (tries >= TRIES_MAX) return giveUp(id, 'conflict', `${what} ${tries} times while it was made`)
  return {
    kind: 'goto',
    step: 'open',
    state: { ...memory, [kind]: tries } satisfies StrandState,
    write: (tx) => operations.report(tx, id, { message: `${what}: once more, from another moment`, percent: 0 }),
  }
}

/** The store, or something else that comes back, is away: wait, each time longer, and go on where it stopped. */
async function pause(
  { id, db, tools, signal }: Context,
  memory: z.infer<typeof Memory>,
  message: string,
): Promise<Outcome<'open' | 'upload'>> {
  const time = (await tools.now(db)).getTime()
  if (memory.pausedUntil !== null) {
    return memory.pausedUntil > time ? wait(memory.pausedUntil - time) : goto('open')
  }
  const ms = Math.min(PAUSE_MS_MAX, PAUSE_MS_FIRST * 2 ** memory.away)
  if (ms >= PAUSE_MS_OPEN) {
    const { instanceId } = await backups.subject(db, id as BackupId)
    await tools.compute.closeExport(instanceId, id, { keep: false }, signal)
  }
  return {
    kind: 'wait',
    ms,
    state: { ...memory, away: memory.away + 1, pausedUntil: time + ms },
    write: (tx) => operations.report(tx, id, { message: `${message}; trying again` }),
  }
}

/** What an upload hands over; drivers/backups/work.ts tells what the numbers mean. */
const Uploaded = z.object({
  manifestBlobId: z.string(),
  manifestBytes: z.int(),
  manifestMd5: z.string(),
  chunkListFile: z.string(),
  dataBytes: z.int(),
  readBytes: z.int(),
  addedBytes: z.int(),
})

export async function publish(context: Context): Promise<Outcome<'close' | 'open' | 'undo'>> {
  const { id, tools, write } = context
  const memory = Memory.parse(context.state)
  const { diskBytes } = z.object({ diskBytes: z.int() }).parse(memory.work)
  const { manifestBlobId, manifestBytes, manifestMd5, chunkListFile, ...sizes } = Uploaded.parse(memory.result)
  const { at, ...point } = memory.point!
  const list: (chunks.ListedChunk | null)[] = []
  for await (const chunk of tools.backups.readList(chunkListFile)) list.push(chunk)
  const verdicts: Awaited<ReturnType<typeof chunks.publish>>[] = []
  await write(async (tx) => {
    const verdict = await chunks.publish(tx, id as BackupId, {
      chunks: list,
      manifest: { blobId: manifestBlobId, storedBytes: manifestBytes, md5: Buffer.from(manifestMd5, 'hex') },
      point: { at, ...point },
      diskBytes,
      ...sizes,
    })
    verdicts.push(verdict)
    if (verdict !== 'published') return
    const { instanceId } = await backups.subject(tx, id as BackupId)
    await operations.finish(tx, id, ['backup.create'], 'succeeded')
    await incidents.resolve(tx, automaticOf(instanceId), 'a later backup was made', 'backup-failed')
  })
  if (verdicts.includes('stale')) return reopen(id as BackupId, memory, 'stale', 'a part of it went from the store')
  return goto('close')
}
