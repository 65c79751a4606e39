/**
 * What a running instance uses. QEMU counts neither network bytes nor, under TCG, anything else: CPU time is the
 * process's, network bytes are the tap's, memory and file systems are what the guest says of itself - if it does.
 */
import { readFile } from 'node:fs/promises'
import type { InstanceStats } from '../compute.ts'
import { askAgent, usedBytes } from './agent.ts'
import { cpuTicks, MS_PER_TICK } from './process.ts'
import type { Qmp } from './qmp.ts'

export interface StatsInput {
  pid: number
  vcpus: number
  memoryMib: number
  tap: string | null
  agentSocket: string
  qmp: Qmp | null
  previous: CpuSample | undefined
}
export interface CpuSample {
  pid: number
  ticks: number
  atMs: number
}

export async function measure(input: StatsInput): Promise<{ stats: InstanceStats; cpu: CpuSample | undefined }> {
  const { qmp, tap } = input
  const ticks = await cpuTicks(input.pid)
  const cpu = ticks === null ? undefined : { pid: input.pid, ticks, atMs: performance.now() }
  const [memory, diskTotal, diskUsed, received, sent] = await Promise.all([
    qmp ? memoryUse(qmp).catch(() => null) : null,
    qmp ? diskSize(qmp).catch(() => null) : null,
    qmp ? diskUse(qmp, input.agentSocket).catch(() => null) : null,
    tap ? counter(tap, 'rx') : null,
    tap ? counter(tap, 'tx') : null,
  ])
  return {
    cpu,
    stats: {
      measuredAt: new Date(),
      cpuPercent: cpu && input.previous ? cpuPercent(input.previous, cpu, input.vcpus) : null,
      memoryUsedBytes: memory?.used ?? null,
      memoryTotalBytes: memory?.total ?? input.memoryMib * 2 ** 20,
      diskUsedBytes: diskUsed,
      diskTotalBytes: diskTotal,
      networkInBytes: sent, // what the host sent into the tap is what the guest received
      networkOutBytes: received,
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

/** From virtio-balloon; a guest without that driver never updates. Counters it does not know are -1 (as unsigned). */
async function memoryUse(qmp: Qmp): Promise<{ used: number; total: number } | null> {
  const answer = await qmp.execute<GuestStats>('qom-get', { path: BALLOON, property: 'guest-stats' })
  if (!answer['last-update']) return null
  const total = known(answer.stats['stat-total-memory'])
  const available = known(answer.stats['stat-available-memory']) ?? known(answer.stats['stat-free-memory'])
  return total === null || available === null || available > total ? null : { used: total - available, total }
}

const known = (value: number | undefined) =>
  value === undefined || value < 0 || value > Number.MAX_SAFE_INTEGER ? null : value

async function diskSize(qmp: Qmp): Promise<number | null> {
  const blocks = await qmp.execute<{ qdev?: string; inserted?: { image: { 'virtual-size': number } } }[]>('query-block')
  const root = blocks.find(({ qdev }) => qdev?.startsWith('/machine/peripheral/disk0'))
  return root?.inserted?.image['virtual-size'] ?? null
}

/** Asked only when an agent has opened its end of the port: silence would cost the whole time-out. */
async function diskUse(qmp: Qmp, socket: string): Promise<number | null> {
  const devices = await qmp.execute<{ label: string; 'frontend-open': boolean }[]>('query-chardev')
  if (!devices.find(({ label }) => label === 'ga0')?.['frontend-open']) return null
  return usedBytes(await askAgent(socket, 'guest-get-fsinfo'))
}

async function counter(tap: string, direction: 'rx' | 'tx'): Promise<number | null> {
  const text = await readFile(`/sys/class/net/${tap}/statistics/${direction}_bytes`, 'utf8').catch(() => '')
  return text === '' ? null : Number(text)
}
