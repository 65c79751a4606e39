/** What is seen of instances: their power from the process and QMP, and what they use. Nothing here changes anything. */
import { join } from 'node:path'
import { type InstanceId, uuidOfId } from '../../../model/ids.ts'
import type { InstanceStats, Observation } from '../compute.ts'
import { SOCKETS } from './args.ts'
import { filesFor, type QemuContext } from './context.ts'
import { isAlive, type ProcessIdentity, startedAt } from './host/process.ts'
import { readLogTail } from './log.ts'
import { findOurs, livingProcess } from './machine.ts'
import { tapName } from './network/network.ts'
import { idsIn, readRecord } from './record.ts'
import { createPatience, measure } from './stats.ts'

/** QEMU's run states (qapi/run-state.json); those that are not here are `running`, passing states of a live guest. */
const POWER: Record<string, Observation['power']> = {
  shutdown: 'off',
  'guest-panicked': 'crashed',
  'internal-error': 'crashed',
  'io-error': 'crashed', // the host's disk is full, for example; `cont` goes on where it stopped
  prelaunch: 'stopped', // a start that was cut off before `cont`
}
export const RESUMABLE: ReadonlySet<string> = new Set(['prelaunch', 'paused', 'io-error', 'watchdog'])
export const powerOf = (status: string): Observation['power'] => POWER[status] ?? 'running'

/** `running`: what `findOurs` found just before, for whoever looks at many. */
export async function observe(
  context: QemuContext,
  id: InstanceId,
  running?: Map<string, ProcessIdentity[]>,
): Promise<Observation> {
  const record = await readRecord(filesFor(context, id))
  const uuid = record?.uuid ?? uuidOfId('instance', id)
  const process = uuid ? await livingProcess(context, { uuid, process: record?.process ?? null }, running) : null
  if (!process) {
    if (!record) return { power: 'absent', startedAt: null }
    if (record.wanted === 'stopped') return { power: 'stopped', startedAt: null }
    return { power: 'crashed', startedAt: null, detail: (await lastWords(context, id)) ?? 'its process is gone' }
  }
  const started = record?.startedAt ? new Date(record.startedAt) : await startedAt(process)
  try {
    const { status } = await context.monitors.use(id, (qmp) => qmp.execute<{ status: string }>('query-status'))
    const power = powerOf(status)
    const detail = status === 'running' ? {} : { detail: status }
    return { power, startedAt: power === 'stopped' ? null : started, ...detail }
  } catch (error) {
    if (!(await isAlive(process))) return observe(context, id)
    return { power: 'running', startedAt: started, detail: `does not answer: ${(error as Error).message}` }
  }
}

export async function list(context: QemuContext): Promise<Map<InstanceId, Observation>> {
  const running = await findOurs(context)
  const ids = await idsIn(context.options.paths.instances)
  return new Map(await Promise.all(ids.map(async (id) => [id, await observe(context, id, running)] as const)))
}

/** Also of a process that ended by itself: its tap is there until the next verb, and what it counted. */
export async function stats(context: QemuContext, id: InstanceId): Promise<InstanceStats | null> {
  const { monitors, cpuSamples, agents, options } = context
  const record = await readRecord(filesFor(context, id))
  if (!record?.process || !record.startedAt) return null
  const { power } = await observe(context, id)
  if (power === 'stopped' || power === 'absent') return null
  const run = `${record.process.pid}/${record.process.startTime}`
  const known = agents.get(id)
  const agent = known?.run === run ? known : { run, ...createPatience() }
  agents.set(id, agent)
  const input = {
    process: record.process,
    vcpus: record.vcpus,
    memoryMib: record.memoryMib,
    tap: record.net === 'tap' ? tapName(options.prefix, record.number) : null,
    agentSocket: join(filesFor(context, id).run, SOCKETS.agent),
    isRunning: power === 'running',
    previous: cpuSamples.get(id),
    agent,
  }
  const isAnswering = power !== 'crashed' || (await isAlive(record.process))
  const { stats, cpu } = isAnswering
    ? await monitors.use(id, (qmp) => measure({ ...input, qmp })).catch(() => measure({ ...input, qmp: null }))
    : await measure({ ...input, qmp: null })
  if (cpu) cpuSamples.set(id, cpu)
  return stats
}

/** The last line QEMU itself wrote. */
export async function lastWords(context: QemuContext, id: InstanceId): Promise<string | undefined> {
  const text = (await readLogTail(filesFor(context, id).log, 2_000).catch(() => Buffer.alloc(0))).toString()
  return text.trim().split('\n').at(-1)?.slice(0, 300) || undefined
}
