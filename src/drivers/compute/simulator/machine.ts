/**
 * A machine that does not exist: what the simulator remembers of it, and what an observer sees of that at a given time.
 * Everything that happens by itself (the boot comes to its end, the guest shuts down) is a moment noted in advance, so
 * no timer has to fire for it to be true, and it goes on while nobody looks. Times are ms since 1970.
 */
import type { InstanceId } from '../../../model/ids.ts'
import type { HostResource, InstanceStats, Observation } from '../compute.ts'
import { says } from './guest.ts'

export interface Machine {
  id: InstanceId
  hostname: string
  /** Generations whose disk is there. */
  disks: number[]
  /** The little text that each disk holds, by generation; one that is not here is empty. */
  contents: Record<number, string>
  snapshots: SimulatedSnapshot[]
  exports: OpenExport[]
  /** The moment of the newest export; none is twice. */
  lastPointAt: number
  power: 'running' | 'stopped' | 'crashed'
  startedAt: number | null
  /** From here on the SSH banner shows. */
  readyAt: number | null
  /** From here on the guest is off: it obeyed the power button, or switched itself off. */
  offAt: number | null
  /** Ignores the power button until its next start. */
  isHung: boolean
  neverReady: boolean
  stats: Partial<InstanceStats> | null
}

export interface SimulatedSnapshot {
  tag: string
  /** Of the disk that it lies in. */
  generation: number
  hasMemory: boolean
  content: string
}

export interface OpenExport {
  name: string
  /** Of the disk that was exported. */
  generation: number
  pointAt: number
  /** Of the guest at that moment. */
  power: Machine['power']
  diskBytes: number
  dataBytes: number
}

export const newMachine = (id: InstanceId): Machine => ({
  id,
  hostname: '',
  disks: [],
  contents: {},
  snapshots: [],
  exports: [],
  lastPointAt: 0,
  power: 'stopped',
  startedAt: null,
  readyAt: null,
  offAt: null,
  isHung: false,
  neverReady: false,
  stats: null,
})

const ABSENT: Observation = { power: 'absent', startedAt: null }

export function observeMachine(machine: Machine | undefined, now: number): Observation {
  if (!machine) return ABSENT
  const startedAt = machine.startedAt === null ? null : new Date(machine.startedAt)
  if (machine.power === 'running') return { power: isOff(machine, now) ? 'off' : 'running', startedAt }
  if (machine.power === 'crashed') return { power: 'crashed', startedAt: null, detail: 'the simulated process died' }
  return machine.disks.length > 0 ? { power: 'stopped', startedAt: null } : ABSENT
}

/** The guest runs: neither off nor crashed. */
export const isUp = (machine: Machine | undefined, now: number): machine is Machine =>
  machine?.power === 'running' && !isOff(machine, now)

const isOff = (machine: Machine, now: number): boolean => machine.offAt !== null && machine.offAt <= now

/** What the disk of the newest generation holds. */
export const contentOf = ({ disks, contents }: Machine): string => contents[Math.max(...disks)] ?? ''

/** The machine's changes when only the disk of this generation is left: what lies in the others goes with them. */
export const onlyDisk = ({ contents, snapshots }: Machine, generation: number) => ({
  disks: [generation],
  contents: { [generation]: contents[generation] ?? '' },
  snapshots: snapshots.filter((snapshot) => snapshot.generation === generation),
})

/** A process that is there, running or off, and every disk. */
export function resourcesOf(machine: Machine): HostResource[] {
  const disks = machine.disks.map((generation) => resource('disk', machine.id, `${machine.id}/disk-${generation}`))
  return machine.power === 'running' ? [resource('process', machine.id, machine.id), ...disks] : disks
}

const resource = (kind: HostResource['kind'], instanceId: InstanceId, name: string): HostResource => ({
  kind,
  name,
  instanceId,
})

/** What a serial console would have logged of the present run. */
export function logOf(machine: Machine, now: number): string {
  if (machine.startedAt === null) return ''
  const lines: [at: number, text: string][] = [[machine.startedAt, 'simulated machine: the vCPUs run']]
  const content = contentOf(machine)
  if (says(content, 'panic')) {
    lines.push([machine.startedAt, 'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)'])
  } else if (machine.readyAt !== null && machine.readyAt <= now && !machine.neverReady && !says(content, 'silent')) {
    lines.push([machine.readyAt, 'sshd: listening on port 22'], [machine.readyAt, `${machine.hostname} login:`])
  }
  if (isOff(machine, now)) lines.push([machine.offAt ?? now, 'reboot: Power down'])
  return lines
    .map(([at, text]) => `[${((at - (machine.startedAt ?? at)) / 1000).toFixed(6).padStart(12)}] ${text}\n`)
    .join('')
}
