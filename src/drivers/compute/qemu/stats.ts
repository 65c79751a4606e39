/**
 * What an instance uses. CPU time is the process's, network bytes are the tap's (QEMU counts none), disk I/O is QEMU's
 * own count of what the guest asked its root disk for (query-blockstats), memory and file systems are what the guest says
 * of itself - if it does. The tap outlives a process that died, and so do its counters until it is taken away.
 */
import { readFile } from 'node:fs/promises'
import type { InstanceStats } from '../compute.ts'
import { askAgent, usedBytes } from './guest/agent.ts'
import { cpuTicks, MS_PER_TICK, type ProcessIdentity } from './host/process.ts'
import type { Qmp } from './qmp.ts'

export interface StatsInput {
  process: ProcessIdentity
  vcpus: number
  memoryMib: number
  tap: string | null
  agentSocket: string
  /** Null: it does not answer, or is gone. */
  qmp: Qmp | null
  /** Only then does it use CPU and memory and can be asked. */
  isRunning: boolean
  previous: CpuSample | undefined
  agent: AgentPatience
}
export interface CpuSample {
  pid: number
  ticks: number
  atMs: number
}

export async function measure(input: StatsInput): Promise<{ stats: InstanceStats; cpu: CpuSample | undefined }> {
  const { qmp, tap, process, isRunning } = input
  const measuredAt = new Date()
  const ticks = isRunning ? await cpuTicks(process.pid) : null
  const cpu = ticks === null ? undefined : { pid: process.pid, ticks, atMs: performance.now() }
  const [received, sent, io, diskTotal, memory, diskUsed] = await Promise.all([
    tap ? counter(tap, 'rx') : null,
    tap ? counter(tap, 'tx') : null,
    qmp ? diskIo(qmp).catch(() => null) : null,
    qmp ? diskSize(qmp).catch(() => null) : null,
    qmp && isRunning ? memoryUse(qmp).catch(() => null) : null,
    qmp && isRunning ? diskUse(qmp, input.agentSocket, input.agent).catch(() => null) : null,
  ])
  return {
    cpu,
    stats: {
      measuredAt,
      run: `${process.bootId}/${process.pid}/${process.startTime}`,
      cpuPercent: cpu && input.previous ? cpuPercent(input.previous, cpu, input.vcpus) : null,
      memoryUsedBytes: memory?.used ?? null,
      memoryTotalBytes: memory?.total ?? input.memoryMib * 2 ** 20,
      diskUsedBytes: diskUsed,
      diskTotalBytes: diskTotal,
      networkInBytes: sent, // what the host sent into the tap is what the guest received
      networkOutBytes: received,
      diskReadBytes: io?.rd_bytes ?? null,
      diskWriteBytes: io?.wr_bytes ?? null,
      diskReadOps: io?.rd_operations ?? null,
      diskWriteOps: io?.wr_operations ?? null,
    },
  }
}

/** 100 = all vCPUs busy. QEMU's own threads count as the guest's, hence the cap. Null for another process or no time. */
export function cpuPercent(before: CpuSample, now: CpuSample, vcpus: number): number | null {
  const elapsedMs = now.atMs - before.atMs
  if (before.pid !== now.pid || elapsedMs <= 0) return null
  const percent = ((now.ticks - before.ticks) * MS_PER_TICK * 100) / (elapsedMs * vcpus)
  return Math.round(Math.min(100, Math.max(0, percent)) * 10) / 10
}

/** How often the balloon asks the guest; the answer is at most so old. */
export const BALLOON_POLL_SECONDS = 5
export const BALLOON = '/machine/peripheral/balloon0'

interface GuestStats {
  'last-update': number
  stats: Record<string, number>
}

/** QEMU goes on telling the last answer of a guest that has fallen silent; this old it says nothing about now. */
const GUEST_STATS_SECONDS_MAX = 60

/**
 * From virtio-balloon; null: the guest has no such driver, or it no longer answers. Counters it does not know are -1 (as
 * unsigned); `last-update` is by the host's clock, in seconds.
 */
export async function memoryUse(qmp: Pick<Qmp, 'execute'>): Promise<{ used: number; total: number } | null> {
  const answer = await qmp.execute<GuestStats>('qom-get', { path: BALLOON, property: 'guest-stats' })
  if (Date.now() / 1000 - answer['last-update'] > GUEST_STATS_SECONDS_MAX) return null
  const total = known(answer.stats['stat-total-memory'])
  const available = known(answer.stats['stat-available-memory']) ?? known(answer.stats['stat-free-memory'])
  return total === null || available === null || available > total ? null : { used: total - available, total }
}

const known = (value: number | undefined) =>
  value === undefined || value < 0 || value > Number.MAX_SAFE_INTEGER ? null : value

async function diskSize(qmp: Qmp): Promise<number | null> {
  const blocks = await qmp.execute<{ qdev?: string; inserted?: { image: { 'virtual-size': number } } }[]>('query-block')
  return blocks.find(isRoot)?.inserted?.image['virtual-size'] ?? null
}

/** qapi/block-core.json, BlockDeviceStats: since the process started, as the guest asked for it. */
interface BlockIo {
  rd_bytes: number
  wr_bytes: number
  rd_operations: number
  wr_operations: number
}
async function diskIo(qmp: Qmp): Promise<BlockIo | null> {
  const blocks = await qmp.execute<{ qdev?: string; stats: BlockIo }[]>('query-blockstats')
  return blocks.find(isRoot)?.stats ?? null
}

const isRoot = ({ qdev }: { qdev?: string }) => qdev?.startsWith('/machine/peripheral/disk0') === true

/** Asked only when an agent has opened its end of the port and has not just been silent: silence costs the time-out. */
async function diskUse(qmp: Qmp, socket: string, agent: AgentPatience): Promise<number | null> {
  if (!agent.mayAsk()) return null
  const devices = await qmp.execute<{ label: string; 'frontend-open': boolean }[]>('query-chardev')
  if (!devices.find(({ label }) => label === 'ga0')?.['frontend-open']) return null
  try {
    const used = usedBytes(await askAgent(socket, 'guest-get-fsinfo'))
    agent.heard()
    return used
  } catch (error) {
    agent.silent()
    throw error
  }
}

const SILENCE_MS_FIRST = 30_000
const SILENCE_MS_MAX = 30 * 60_000

/** How long a guest agent is left alone that did not answer: twice as long each time. */
export interface AgentPatience {
  mayAsk(): boolean
  heard(): void
  silent(): void
}
export function createPatience(nowMs: () => number = () => performance.now()): AgentPatience {
  let pauseMs = SILENCE_MS_FIRST
  let until = 0
  return {
    mayAsk: () => nowMs() >= until,
    heard() {
      pauseMs = SILENCE_MS_FIRST
    },
    silent() {
      until = nowMs() + pauseMs
      pauseMs = Math.min(2 * pauseMs, SILENCE_MS_MAX)
    },
  }
}

async function counter(tap: string, direction: 'rx' | 'tx'): Promise<number | null> {
  const text = await readFile(`/sys/class/net/${tap}/statistics/${direction}_bytes`, 'utf8').catch(() => '')
  return text === '' ? null : Number(text)
}
