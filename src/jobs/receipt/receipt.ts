/**
 * The strand of a receipt: a backup is restored into a machine of its own, which has a network card and nothing plugged
 * into it, booted and looked at; what was seen is the receipt. Whatever comes of it, the machine goes.
 *
 *   place → restore → boot ⇄ watch → halt → check → record → clean
 *
 * Each step notes what it found. The first thing found bad leads to `record` at once; a host or a store in trouble is
 * waited for, and what is unknown in the end because of it says nothing about the backup: a proof from before still
 * holds. A machine that lost its process is booted again: a backup is not bad because somebody killed a QEMU.
 */
import { CloudError, type ErrorCode } from '../../model/errors.ts'
import type { BackupId, ReceiptId } from '../../model/ids.ts'
import type { OperationKind } from '../../model/operation.ts'
import type { ReceiptCheck } from '../../model/receipt.ts'
import * as chunks from '../../store/backup-chunks.ts'
import type { Db } from '../../store/db.ts'
import * as hosts from '../../store/hosts.ts'
import * as incidents from '../../store/incidents.ts'
import * as operations from '../../store/operations.ts'
import * as receipts from '../../store/receipts.ts'
import * as restores from '../../store/restores.ts'
import * as strands from '../../store/strands.ts'
import { lookAfterRestore } from '../backup/restore-work.ts'
import { startStrand } from '../engine/start.ts'
import { defineStrand, done, goto, type Outcome, type StepContext, wait } from '../engine/strand.ts'
import { choosePlace } from '../instance/placement.ts'
import type { WorkerTools } from '../tools.ts'
import { halt, watch } from './boot.ts'
import { BOOT_SLOT_SECONDS, machineOf, type ReceiptStep, taskOf, VERIFY } from './machine.ts'

type Context = StepContext<WorkerTools>

/** What an operator sees of a backup that did not prove itself; named by the backup, so the next receipt can close it. */
export const RECEIPT_INCIDENT = 'receipt'

const MINUTE = 60_000
const NO_ROOM_WAIT_MS = 2_000
const SLOT_WAIT_MS = 500
/** A host in trouble is given this many tries before the receipt says so. */
const TRIES_MAX = 6
const KINDS: readonly OperationKind[] = ['backup.verify']
/** Of the host or the store: it says nothing about the bytes. */
const TROUBLE: readonly ErrorCode[] = ['unavailable', 'no_capacity']
/** Without them nothing is proven; an image without an agent, or with a file system of its own, may pass. */
const NEEDED: readonly ReceiptCheck['name'][] = ['digests', 'image', 'boot']

/** One transaction: the receipt, its operation and its strand. Throws `conflict` while another one is being made. */
export async function beginReceipt(
  tx: Db,
  backup: restores.Restorable,
  { isScheduled, requestId }: { isScheduled: boolean; requestId: string | null },
): Promise<{ receipt: receipts.Receipt; operation: operations.Operation }> {
  const { id: backupId, accountId, consistency } = backup
  const operation = await operations.open(tx, { accountId, kind: 'backup.verify', resourceId: backupId, requestId })
  const receipt = await receipts.insert(tx, { backupId, accountId, isScheduled, consistency })
  await startStrand(tx, receiptStrand, receipt.id)
  return { receipt, operation }
}

/** Takes the room of a host, like an instance does; a host makes one receipt at a time. */
async function place({ id, db, tools, write }: Context): Promise<Outcome<ReceiptStep>> {
  const receiptId = id as ReceiptId
  const { backupId } = await receipts.placeOf(db, receiptId)
  const backup = await restores.getBackup(db, backupId)
  if (backup.state !== 'completed') return abandon(receiptId, backupId)
  const { regionId, ...demand } = backup.origin
  let placed = false
  await write(async (tx) => {
    const row = await receipts.lock(tx, receiptId)
    placed = row.host_id !== null
    if (placed) return
    await hosts.lockForPlacement(tx, regionId)
    const busy = await receipts.busyHosts(tx)
    const candidates = (await hosts.list(tx, { regionId })).filter((host) => !busy.has(host.id))
    const choice = busy.size > 0 && candidates.length === 0 ? WAITS : choosePlace(candidates, demand)
    if ('reason' in choice) return operations.report(tx, backupId, { message: choice.reason })
    await receipts.place(tx, receiptId, choice.host.id)
    await strands.setHost(tx, id, choice.host.id)
    placed = true
  })
  if (!placed) return wait(NO_ROOM_WAIT_MS)
  const { hostId } = await receipts.placeOf(db, receiptId)
  return { kind: 'goto', step: 'restore', handOver: !tools.hosts.includes(hostId!) }
}
const WAITS = { reason: 'waiting until another backup has been verified' }

async function restore(context: Context): Promise<Outcome<ReceiptStep>> {
  const { id, db } = context
  const receiptId = id as ReceiptId
  const { backupId, spec } = await machineOf(db, receiptId)
  const look = await lookAfterRestore(context, { taskId: taskOf(id), spec, backupId })
  if (look.kind === 'working') {
    const { ms, message, percent, state } = look
    const write = (tx: Db) => operations.report(tx, backupId, { message: message ?? 'restoring', percent })
    return state ? { kind: 'wait', ms, state, write } : { kind: 'wait', ms, write }
  }
  if (look.kind === 'failed') {
    if ((await restores.getBackup(db, backupId)).state !== 'completed') return abandon(receiptId, backupId)
    const outcome = TROUBLE.includes(look.error.code) ? 'unknown' : 'failed'
    return fails(receiptId, { name: 'digests', outcome, detail: look.error.message })
  }
  const { chunks, writtenBytes, ms } = look.outcome
  const detail = `${chunks} chunks were read, verified, written and read back`
  return goto('boot', async (tx) => {
    await receipts.note(tx, receiptId, {
      restoredBytes: writtenBytes,
      restoreMs: Math.round(ms),
      checks: [{ name: 'digests', outcome: 'passed', detail }],
    })
    await operations.report(tx, backupId, { message: 'booting', percent: null })
  })
}

async function boot(context: Context): Promise<Outcome<ReceiptStep>> {
  const { id, db, tools, signal, state } = context
  const receiptId = id as ReceiptId
  const { hostId, spec } = await machineOf(db, receiptId)
  const slots = tools.bootSlots()
  if (hostId && slots !== null && (await hosts.countBooting(db, hostId, BOOT_SLOT_SECONDS)) >= slots) {
    return wait(SLOT_WAIT_MS)
  }
  const image = await within(context, 'image', () => tools.compute.replaceDisk(spec, signal))
  if (image) return fails(receiptId, image)
  const started = await within(context, 'boot', () => tools.compute.ensureRunning(spec, signal))
  if (started) return fails(receiptId, started)
  const boots = typeof state.boots === 'number' ? state.boots + 1 : 1
  const bootedAt = (await tools.now(db)).getTime()
  const checks: ReceiptCheck[] = [{ name: 'image', outcome: 'passed', detail: 'the disk is whole and stands alone' }]
  return {
    kind: 'goto',
    step: 'watch',
    state: { ...state, boots, bootedAt, aliveMs: null },
    write: (tx) => receipts.note(tx, receiptId, { checks }),
  }
}

/**
 * Null when it was done. What another try may mend is tried again by the engine; after some it is a finding that says
 * nothing about the backup.
 */
async function within(
  { tries, signal }: Context,
  name: ReceiptCheck['name'],
  act: () => Promise<void>,
): Promise<ReceiptCheck | null> {
  try {
    await act()
    return null
  } catch (error) {
    const isFinal = error instanceof CloudError && error.code !== 'unavailable'
    if (signal.aborted || (!isFinal && tries < TRIES_MAX)) throw error
    return { name, outcome: isFinal ? 'failed' : 'unknown', detail: (error as Error).message }
  }
}

async function check(context: Context): Promise<Outcome<ReceiptStep>> {
  const { id, db, tools, signal } = context
  const receiptId = id as ReceiptId
  const { spec } = await machineOf(db, receiptId)
  let found: ReceiptCheck | null = null
  const trouble = await within(context, 'filesystem', async () => {
    const reports = await tools.compute.checkFilesystems(spec, signal)
    const bad = reports.filter(({ outcome }) => outcome === 'errors')
    const clean = reports.filter(({ outcome }) => outcome === 'clean')
    const shown = bad.length > 0 ? bad : reports
    found = {
      name: 'filesystem',
      outcome: bad.length > 0 ? 'failed' : clean.length > 0 ? 'passed' : 'unknown',
      detail: shown.map(({ partition, type, detail }) => `${partition} ${type ?? '?'}: ${detail}`).join('; '),
    }
  })
  // A checker that cannot run says nothing about the backup.
  const checks: ReceiptCheck[] = [found ?? { ...trouble!, outcome: 'unknown' }]
  return goto('record', (tx) => receipts.note(tx, receiptId, { checks }))
}

async function record({ id, db }: Context): Promise<Outcome<ReceiptStep>> {
  const receiptId = id as ReceiptId
  const { backupId } = await receipts.placeOf(db, receiptId)
  return goto('clean', async (tx) => {
    const row = await receipts.lock(tx, receiptId)
    const failed = row.checks.find(({ outcome }) => outcome === 'failed')
    const open = row.checks.find(({ name, outcome }) => outcome === 'unknown' && NEEDED.includes(name))
    if (!failed && !open) {
      await receipts.finish(tx, receiptId, 'passed')
      await chunks.clearDamage(tx, backupId, row.started_at)
      await operations.finish(tx, backupId, KINDS, 'succeeded')
      return incidents.resolve(tx, backupId, 'a later receipt passed', RECEIPT_INCIDENT)
    }
    const { name, detail } = (failed ?? open)!
    const what = failed ? 'the backup did not prove itself' : 'the backup could not be verified'
    const message = `${what}: ${name}: ${detail}`.slice(0, 2_000)
    await receipts.finish(tx, receiptId, 'failed', failed ? detail : `it could not be verified: ${detail}`)
    await operations.finish(tx, backupId, KINDS, 'failed', { message, errorCode: failed ? 'invalid' : 'unavailable' })
    await incidents.open(tx, { strandId: backupId, kind: RECEIPT_INCIDENT, step: 'record', message })
  })
}

/** The machine with all it has, and what is left of the restore. */
async function clean({ id, db, tools, signal }: Context): Promise<Outcome> {
  const { hostId, machineId } = await receipts.placeOf(db, id as ReceiptId)
  if (hostId) {
    await tools.tasks.remove(taskOf(id))
    await tools.compute.ensureAbsent(machineId, signal)
  }
  return done()
}

const fails = (id: ReceiptId, check: ReceiptCheck): Outcome<'record'> =>
  goto('record', (tx) => receipts.note(tx, id, { checks: [check] }))

/** Its owner deleted the backup: nobody needs the proof any more, and nobody has to look at anything. */
const abandon = (id: ReceiptId, backupId: BackupId): Outcome<'clean'> =>
  goto('clean', async (tx) => {
    await receipts.lock(tx, id)
    await receipts.finish(tx, id, 'failed', 'the backup was deleted meanwhile')
    await operations.finish(tx, backupId, KINDS, 'cancelled', { message: 'the backup was deleted' })
  })

export const receiptStrand = defineStrand<WorkerTools>()({
  kind: VERIFY,
  first: 'place',
  steps: {
    place: { run: place, deadlineMs: null },
    restore: { run: restore, deadlineMs: 12 * 60 * MINUTE },
    boot: { run: boot, deadlineMs: 60 * MINUTE },
    watch: { run: watch, deadlineMs: 60 * MINUTE },
    halt: { run: halt, deadlineMs: 75 * MINUTE },
    check: { run: check, deadlineMs: 3 * 60 * MINUTE },
    record: { run: record, deadlineMs: 10 * MINUTE },
    clean: { run: clean, deadlineMs: 10 * MINUTE },
  },
  async onRefused({ id }, step, error) {
    if (step === 'record' || step === 'clean') return null
    const name = step === 'restore' ? 'digests' : step === 'check' ? 'filesystem' : 'boot'
    return fails(id as ReceiptId, { name, outcome: 'failed', detail: error.message })
  },
})
