/** From a command line to a machine whose vCPUs run, or to nothing at all. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CloudError } from '../../../model/errors.ts'
import type { InstanceId } from '../../../model/ids.ts'
import { SOCKETS, tbSizeMib } from './args.ts'
import { filesFor, hostOf, isThere, type QemuContext } from './context.ts'
import { confine, limitsFor } from './host/cgroup.ts'
import { identify, kill, type Owner, spawnQemu } from './host/process.ts'
import { note } from './machine.ts'
import { lastWords } from './observe.ts'
import { type Qmp, QmpGone } from './qmp.ts'
import type { InstanceRecord } from './record.ts'
import { BALLOON, BALLOON_POLL_SECONDS } from './stats.ts'

const START_MS = 15_000 // QMP answers 30 ms after the start on an idle host; a swapping one takes its time

/** Throws `unavailable` with QEMU's own last words; then no process is left. */
export async function launch(
  context: QemuContext,
  record: InstanceRecord,
  args: string[],
  owner: Owner | null,
  signal: AbortSignal,
  answerMs = START_MS,
): Promise<void> {
  const { id, uuid } = record
  const { log } = filesFor(context, id)
  await rm(log, { force: true })
  const child = spawnQemu(context.binary, args, owner, log)
  let exit: string | null = null
  child.on('error', (error) => {
    exit = error.message
  })
  child.on('exit', (code, killer) => {
    exit = killer ? `killed by ${killer}` : `exit code ${code}`
  })
  const identity = child.pid === undefined ? null : identify(child.pid, uuid)
  if (identity) await note(context, record, { process: identity, wanted: 'running' })
  try {
    if (identity) await applyLimits(context, record, identity.pid)
    const qmp = await firstAnswer(context, id, () => exit, answerMs, signal)
    await qmp.execute('cont')
    const startedAt = new Date().toISOString()
    if (identity) await note(context, record, { process: identity, wanted: 'running', startedAt })
    await qmp
      .execute('qom-set', { path: BALLOON, property: 'guest-stats-polling-interval', value: BALLOON_POLL_SECONDS })
      .catch(() => {}) // statistics only
  } catch (error) {
    context.monitors.drop(id)
    if (identity) await kill(identity)
    const noted = { ...record, process: identity, wanted: 'running' as const }
    await note(context, noted, { process: null, startedAt: null, wanted: record.wanted })
    if (signal.aborted || error instanceof CloudError) throw error
    const why = (await lastWords(context, id)) ?? (error as Error).message
    throw new CloudError('unavailable', `QEMU did not start: ${why}`, { cause: error })
  }
}

async function applyLimits(context: QemuContext, { id, memoryMib, vcpus }: InstanceRecord, pid: number): Promise<void> {
  const { cgroups, accel } = hostOf(context)
  const limits = limitsFor(memoryMib, tbSizeMib(accel.kind, memoryMib), vcpus)
  await confine(cgroups, context.options.prefix, id, pid, limits)
}

/** Waits for the process to make its sockets. */
async function firstAnswer(
  context: QemuContext,
  id: InstanceId,
  ended: () => string | null,
  answerMs: number,
  signal: AbortSignal,
): Promise<Qmp> {
  const until = performance.now() + answerMs
  const socket = join(filesFor(context, id).run, SOCKETS.qmp)
  for (;;) {
    signal.throwIfAborted()
    const end = ended()
    if (end !== null) throw new Error(end)
    if (await isThere(socket)) {
      const qmp = await context.monitors.keep(id, answerMs).catch((error: unknown) => {
        if (error instanceof QmpGone && performance.now() < until) return null // bound, and not listening yet
        throw error
      })
      if (qmp) return qmp
    }
    if (performance.now() > until) throw new Error(`no answer within ${answerMs} ms`)
    await sleep(3)
  }
}
