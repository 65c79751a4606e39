/** The steps of a receipt while its machine runs: waiting for a sign of life, keeping what was seen, switching it off. */
import type { GuestReport } from '../../drivers/compute/compute.ts'
import type { InstanceId, ReceiptId } from '../../model/ids.ts'
import type { ReceiptCheck } from '../../model/receipt.ts'
import * as receipts from '../../store/receipts.ts'
import { goto, type Outcome, type StepContext, wait } from '../engine/strand.ts'
import type { WorkerTools } from '../tools.ts'
import { plainText, readBootLog } from './boot-log.ts'
import type { ReceiptStep } from './machine.ts'

type Context = StepContext<WorkerTools>

/** A stock cloud image under software emulation on a busy host takes four minutes. */
const BOOT_MS_MAX = 15 * 60_000
const BOOTS_MAX = 3
const WATCH_MS = 1_000
/** An agent may answer before the console shows anything: so long one waits for what people will want to see. */
const SETTLE_MS = 15_000
const BUTTON_AGAIN_MS = 10_000
/** What is read of the console to judge a boot, and what of it is kept. */
const LOG_BYTES = 256 * 1024
const TAIL_CHARACTERS = 16 * 1024
const SCREENSHOT_BYTES_MAX = 4 * 2 ** 20

export async function watch(context: Context): Promise<Outcome<ReceiptStep>> {
  const { id, db, tools, signal, state } = context
  const { machineId } = await receipts.placeOf(db, id as ReceiptId)
  const seen = await tools.compute.observe(machineId)
  const bootMs = (await tools.now(db)).getTime() - Number(state.bootedAt)
  const log = (await tools.compute.readLog(machineId, LOG_BYTES)).toString()
  const sign = readBootLog(log)
  if (sign.kind === 'broken') return ends(context, machineId, log, [boot('failed', sign.detail)])
  if (seen.power === 'off') {
    return ends(context, machineId, log, [boot('failed', 'the guest switched itself off while it booted')])
  }
  if (seen.power !== 'running') {
    const why = seen.detail ?? `the machine was ${seen.power}`
    if (Number(state.boots) >= BOOTS_MAX) return ends(context, machineId, log, [boot('failed', why)])
    await tools.compute.ensureStopped(machineId, signal)
    return goto('boot')
  }
  const guest = await tools.compute.inspectGuest(machineId)
  if (guest.answers || sign.kind === 'up') {
    const aliveMs = typeof state.aliveMs === 'number' ? state.aliveMs : Math.max(0, bootMs)
    if (sign.kind !== 'up' && bootMs - aliveMs < SETTLE_MS) {
      return { kind: 'wait', ms: WATCH_MS, state: { ...state, aliveMs } }
    }
    const what = sign.kind === 'up' ? `the console shows ${JSON.stringify(sign.detail)}` : 'its agent answers'
    return ends(context, machineId, log, [boot('passed', what), agentCheck(guest)], aliveMs)
  }
  if (bootMs > BOOT_MS_MAX) {
    const why = `after ${BOOT_MS_MAX / 60_000} minutes no agent answered and the console showed no login`
    return ends(context, machineId, log, [boot('failed', why)])
  }
  return wait(WATCH_MS)
}

const boot = (outcome: ReceiptCheck['outcome'], detail: string): ReceiptCheck => ({ name: 'boot', outcome, detail })

/** An image without an agent is as good as one with. */
const agentCheck = ({ answers, os, uptimeSeconds }: GuestReport): ReceiptCheck => ({
  name: 'agent',
  outcome: answers ? 'passed' : 'unknown',
  detail: answers
    ? [os ?? 'it answers', ...(uptimeSeconds === null ? [] : [`up ${uptimeSeconds} s`])].join(', ')
    : 'no guest agent answers',
})

/** Keeps what is to be seen now, whether it is good or bad. */
async function ends(
  { id, tools }: Context,
  machineId: InstanceId,
  log: string,
  checks: readonly ReceiptCheck[],
  bootMs?: number,
): Promise<Outcome<ReceiptStep>> {
  const picture = await tools.compute.screenshot(machineId).catch(() => null)
  const screenshot = picture && picture.length <= SCREENSHOT_BYTES_MAX ? picture : null
  const serialTail = plainText(log).slice(-TAIL_CHARACTERS)
  const hasFailed = checks.some(({ outcome }) => outcome === 'failed')
  return goto(hasFailed ? 'record' : 'halt', (tx) =>
    receipts.note(tx, id as ReceiptId, {
      checks,
      serialTail,
      screenshot,
      ...(bootMs === undefined ? {} : { bootMs: Math.round(bootMs) }),
    }),
  )
}

/** By its power button, so that it leaves its file systems as it would; a guest that does not obey loses its power. */
export async function halt({ id, db, tools, signal, state, stepEnteredAt }: Context): Promise<Outcome<ReceiptStep>> {
  const { machineId } = await receipts.placeOf(db, id as ReceiptId)
  const seen = await tools.compute.observe(machineId)
  const time = (await tools.now(db)).getTime()
  const isLate = time - stepEnteredAt.getTime() > tools.settings.shutdownSeconds * 1_000
  if (seen.power !== 'running' || isLate) {
    await tools.compute.ensureStopped(machineId, signal)
    return goto('check')
  }
  const pressedAt = typeof state.pressedAt === 'number' ? state.pressedAt : 0
  if (time - pressedAt < BUTTON_AGAIN_MS) return wait(WATCH_MS / 2)
  await tools.compute.requestShutdown(machineId)
  return { kind: 'wait', ms: WATCH_MS / 2, state: { ...state, pressedAt: time } }
}
