/**
 * Snapshots inside a running QEMU, over QMP. Those of the memory are jobs (qapi/migration.json, "snapshot-save"): one
 * that a killed control plane left is waited for and dismissed before anything new begins. While a job reads or writes
 * the memory QEMU answers nobody, so its answers are waited for long.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CloudError } from '../../../../model/errors.ts'
import { type Qmp, QmpError } from '../qmp.ts'
import type { InstanceRecord } from '../record.ts'
import type { LaunchFacts } from './notes.ts'
import type { StoredSnapshot } from './stopped.ts'

/** The root disk's node in QEMU's block graph; see args.ts. */
const NODE = 'd0'
/** Gigabytes of memory, written to a slow disk. */
const ANSWER_MS = 10 * 60_000
const POLL_MS_FIRST = 10
const POLL_MS_MAX = 500

export async function listLive(qmp: Qmp): Promise<StoredSnapshot[]> {
  interface Node {
    'node-name': string
    image: { snapshots?: StoredSnapshot[] }
  }
  const nodes = await qmp.execute<Node[]>('query-named-block-nodes', { flat: true }, ANSWER_MS)
  return nodes.find((node) => node['node-name'] === NODE)?.image.snapshots ?? []
}

/** Of the disk and the memory; the guest stands still until both are written. */
export const saveMachine = (qmp: Qmp, tag: string, signal: AbortSignal): Promise<void> =>
  runJob(qmp, 'snapshot-save', { tag, vmstate: NODE, devices: [NODE] }, signal)

/** The vCPUs stand still when this returns, and also when it throws. */
export async function loadMachine(qmp: Qmp, tag: string, signal: AbortSignal): Promise<void> {
  await qmp.execute('stop')
  await runJob(qmp, 'snapshot-load', { tag, vmstate: NODE, devices: [NODE] }, signal)
}

/** Of the disk alone, as after a power cut. */
export const saveDisk = (qmp: Qmp, tag: string): Promise<unknown> =>
  qmp.execute('blockdev-snapshot-internal-sync', { device: NODE, name: tag }, ANSWER_MS)

export const deleteLive = (qmp: Qmp, tag: string, signal: AbortSignal): Promise<void> =>
  runJob(qmp, 'snapshot-delete', { tag, devices: [NODE] }, signal)

interface Job {
  id: string
  type: string
  status: string
  error?: string
}

interface JobArgs {
  tag: string
  devices: string[]
  vmstate?: string
}

const OURS = ['snapshot-save', 'snapshot-load', 'snapshot-delete']

/** Nothing that somebody began is still under way. How it ended shows in the list of snapshots. */
export async function finishJobs(qmp: Qmp, signal: AbortSignal): Promise<void> {
  const left = await qmp.execute<Job[]>('query-jobs', undefined, ANSWER_MS)
  for (const { id, type } of left) if (OURS.includes(type)) await endOf(qmp, id, signal)
}

async function runJob(qmp: Qmp, command: string, args: JobArgs, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const id = `${command}-${args.tag}`
  await qmp.execute(command, { 'job-id': id, ...args }, ANSWER_MS)
  const error = await endOf(qmp, id, signal)
  if (error !== null) throw new QmpError(command, 'GenericError', error)
}

/** Waits for the job and takes it off QEMU's list. What went wrong is told only here, and by nobody else. */
async function endOf(qmp: Qmp, id: string, signal: AbortSignal): Promise<string | null> {
  for (let pauseMs = POLL_MS_FIRST; ; pauseMs = Math.min(POLL_MS_MAX, pauseMs * 2)) {
    const job = (await qmp.execute<Job[]>('query-jobs', undefined, ANSWER_MS)).find((one) => one.id === id)
    if (!job) return null // dismissed by somebody else
    if (job.status === 'concluded') {
      await qmp.execute('job-dismiss', { id })
      return job.error ?? null
    }
    await sleep(pauseMs, undefined, { signal })
  }
}

/** What this process is, for whoever wants to bring a memory back. */
export async function launchFactsOf(qmp: Qmp, { vcpus, memoryMib, net }: InstanceRecord): Promise<LaunchFacts> {
  const type = await qmp.execute<string>('qom-get', { path: '/machine', property: 'type' })
  const { enabled } = await qmp.execute<{ enabled: boolean }>('query-kvm')
  const machine = type.replace(/-machine$/, '')
  return { machine, accel: enabled ? 'kvm' : 'tcg', vcpus, memoryMib, net: net ?? 'user' }
}

/** Why QEMU would not load it, for people; null when it fits. */
export function misfit(saved: LaunchFacts, now: LaunchFacts): string | null {
  const differences = (Object.keys(saved) as (keyof LaunchFacts)[])
    .filter((key) => saved[key] !== now[key])
    .map((key) => `${WORDS[key]} was ${saved[key]} and is ${now[key]}`)
  return differences.length === 0 ? null : differences.join(', ')
}
const WORDS: Record<keyof LaunchFacts, string> = {
  machine: 'the machine type',
  accel: 'the accelerator',
  vcpus: 'the number of vCPUs',
  memoryMib: 'the memory in MiB',
  net: 'the network',
}

/** QEMU's own refusal as one of ours. */
export function refused(error: unknown): never {
  if (!(error instanceof QmpError)) throw error
  throw new CloudError('unavailable', error.message, { cause: error })
}
