/**
 * Standing still for a moment: the guest agent freezes the guest's file systems, so that what is on the disk then is
 * whole. A guest that stays frozen is as good as dead, so before anything is asked of it the wish is on disk, and a
 * process of its own stands by (freeze-task.ts) that thaws after five seconds, or at once when we die. `open` thaws
 * what a killed host or a killed watchdog left.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readJson, writeFileAtomically } from '../../../../lib/files.ts'
import { identityOf, isAlive, type ProcessIdentity as Watchdog } from '../../../../lib/process-identity.ts'
import type { Consistency } from '../../../../model/backup.ts'
import type { InstanceId } from '../../../../model/ids.ts'
import { SOCKETS } from '../args.ts'
import { filesFor, type QemuContext } from '../context.ts'
import { AgentRefusal, type AskAgent, holdAgent, thaw } from '../guest/agent.ts'
import type { ProcessIdentity } from '../host/process.ts'
import type { Qmp } from '../qmp.ts'
import { filesOf, type InstanceFiles, idsIn } from '../record.ts'

/** An agent that is there answers within milliseconds; the rest is for a busy guest. */
const PING_MS = 1_000
/** The guest writes its caches back before it stands still. */
const FREEZE_MS = 3_000
/** How long we try ourselves; after that the watchdog goes on. */
const THAW_MS = 5_000
const THAW_TRY_MS = 1_500
const WATCHDOG_START_MS = 5_000

export interface Stillness {
  consistency: Consistency
  /** Why it is no better, for people. */
  reason: string | null
  /** From asking for it to the answer that it is over; null when nothing stood still. */
  frozenMs: number | null
}

/** Runs `act`, once, while the guest's file systems stand still if they can. What it throws is thrown after the thaw. */
export async function whileFrozen(
  context: QemuContext,
  id: InstanceId,
  qemu: ProcessIdentity,
  qmp: Qmp,
  act: () => Promise<void>,
): Promise<Stillness> {
  const files = filesFor(context, id)
  const crash = async (reason: string): Promise<Stillness> => {
    await act()
    return { consistency: 'crash', reason, frozenMs: null }
  }
  const { status } = await qmp.execute<{ status: string }>('query-status')
  if (status === 'shutdown') {
    await act()
    return { consistency: 'off', reason: null, frozenMs: null }
  }
  if (status !== 'running') return crash(`the guest does not run (${status}), so its file systems could not be frozen`)
  const chardevs = await qmp.execute<{ label: string; 'frontend-open': boolean }[]>('query-chardev')
  if (!chardevs.find(({ label }) => label === 'ga0')?.['frontend-open']) {
    return crash('no guest agent (qemu-guest-agent) runs in the guest, so its file systems could not be frozen')
  }
  await thawLeftover(context, id, qemu).catch(() => {})
  if (await readNote(files)) return crash('an earlier freeze has not ended yet')
  return holdAgent(join(files.run, SOCKETS.agent), async (ask) => {
    const refusal = await ask('guest-ping', {}, PING_MS).then(
      () => null,
      () => 'the guest agent does not answer, so the file systems could not be frozen',
    )
    if (refusal) return crash(refusal)
    const watchdog = await startWatchdog(files, qemu).catch(() => null)
    if (!watchdog) return crash('the watchdog that thaws the guest did not start, so nothing was frozen')
    return freezeAndThaw(files, watchdog, ask, act)
  })
}

async function freezeAndThaw(
  files: InstanceFiles,
  watchdog: ChildProcess,
  ask: AskAgent,
  act: () => Promise<void>,
): Promise<Stillness> {
  await writeNote(files, watchdog).catch((error: unknown) => {
    watchdog.stdin?.end()
    throw error
  })
  watchdog.stdin?.write('freeze\n')
  const from = performance.now()
  let refused: string | null = null
  let thawed: number | null = null
  let frozenMs: number
  try {
    refused = await ask('guest-fsfreeze-freeze', {}, FREEZE_MS).then(
      (count) => (Number(count) > 0 ? null : 'the guest has no file system that can be frozen'),
      (error: unknown) => `the file systems could not be frozen (${agentsWords(error)})`,
    )
    await act()
  } finally {
    // Also after a refusal: an answer that came too late may be on its way.
    thawed = await keepThawing(ask, from + THAW_MS)
    frozenMs = Math.round((performance.now() - from) * 10) / 10
    if (thawed !== null) {
      watchdog.stdin?.write('done\n')
      await rm(freezeNoteOf(files), { force: true })
    }
    watchdog.stdin?.end() // without `done` the watchdog goes on trying
  }
  if (refused) return { consistency: 'crash', reason: refused, frozenMs: thawed ? frozenMs : null }
  if (thawed === null) return { consistency: 'crash', reason: 'the guest agent did not confirm the thaw', frozenMs }
  if (thawed > 0) return { consistency: 'filesystem', reason: null, frozenMs }
  return { consistency: 'crash', reason: 'the guest was thawed before the moment was over', frozenMs }
}

/** For people: what the agent said, and of other errors nothing that is the host's business. */
const agentsWords = (error: unknown) => (error instanceof AgentRefusal ? error.message : 'no answer in time')

/** Null when it is not known to be over by then. */
async function keepThawing(ask: AskAgent, until: number): Promise<number | null> {
  for (;;) {
    const count = await thaw(ask, THAW_TRY_MS).catch(() => null)
    if (count !== null || performance.now() >= until) return count
    await sleep(50)
  }
}

/** Runs in a session of its own; says when it stands by. Throws when it does not. */
async function startWatchdog(files: InstanceFiles, qemu: ProcessIdentity): Promise<ChildProcess> {
  const task = join(import.meta.dirname, 'freeze-task.ts')
  const args = [task, join(files.run, SOCKETS.agent), freezeNoteOf(files), JSON.stringify(qemu)]
  const child = spawn(process.execPath, args, {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  })
  child.unref()
  child.stdin.on('error', () => {}) // it was killed; `open` looks after what it would have done
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error('the watchdog did not start in time')), WATCHDOG_START_MS)
  child.on('error', reject)
  child.on('exit', () => reject(new Error('the watchdog ended')))
  child.stdout.once('data', () => resolve())
  try {
    await promise
    child.stdout.destroy()
    return child
  } catch (error) {
    child.stdin.end()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Ends a standstill that whoever asked for it did not see the end of. `qemu`: the living process, if any. */
export async function thawLeftover(context: QemuContext, id: InstanceId, qemu: ProcessIdentity | null): Promise<void> {
  const files = filesFor(context, id)
  const note = await readNote(files)
  if (!note) return
  if (qemu) {
    const isOver = await holdAgent(join(files.run, SOCKETS.agent), (ask) => thaw(ask, THAW_TRY_MS)).then(
      () => true,
      () => false,
    )
    if (!isOver) {
      if (note.watchdog && isAlive(note.watchdog)) return
      const watchdog = await startWatchdog(files, qemu)
      await writeNote(files, watchdog, note.since)
      watchdog.stdin?.end('freeze\n') // it begins at once, and tries until it has succeeded
      return
    }
  }
  await rm(freezeNoteOf(files), { force: true })
}

/** The watchdogs of this Havn that still try. */
export async function findWatchdogs({ options }: QemuContext): Promise<{ pid: number; instanceId: InstanceId }[]> {
  const found: { pid: number; instanceId: InstanceId }[] = []
  for (const instanceId of await idsIn(options.paths.instances)) {
    const note = await readNote(filesOf(options.paths, instanceId))
    if (note?.watchdog && isAlive(note.watchdog)) found.push({ pid: note.watchdog.pid, instanceId })
  }
  return found
}

interface FreezeNote {
  /** ISO time. */
  since: string
  watchdog: Watchdog | null
}

const freezeNoteOf = ({ folder }: InstanceFiles) => join(folder, 'freeze.json')
export const isFreezeNoted = async (files: InstanceFiles): Promise<boolean> => (await readNote(files)) !== null
const readNote = (files: InstanceFiles) => readJson<FreezeNote>(freezeNoteOf(files))

function writeNote(files: InstanceFiles, { pid }: ChildProcess, since = new Date().toISOString()): Promise<void> {
  const note: FreezeNote = { since, watchdog: pid === undefined ? null : identityOf(pid) }
  return writeFileAtomically(freezeNoteOf(files), JSON.stringify(note))
}
