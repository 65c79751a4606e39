/**
 * Instances without machines, for developers who need the API, for tests and for fleets of 100,000. It keeps every
 * promise of `ComputeDriver`: machines outlive the control plane (simulator/journal.ts), guests take their time to boot
 * and to shut down, and every trouble a real host makes can be scripted. It measures nothing, so it reports nothing:
 * statistics are null unless a script sets them.
 */
import { type Clock, realClock } from '../../lib/clock.ts'
import { CloudError } from '../../model/errors.ts'
import type { InstanceId } from '../../model/ids.ts'
import type { ComputeDriver, HostFacts, InstanceStats } from './compute.ts'
import { discardPrepared, diskVerbs, preparedResources } from './simulator/disks.ts'
import { endExports, exportResources, exportVerbs } from './simulator/exports.ts'
import { createFaults, type Fault, type Verb } from './simulator/faults.ts'
import { type Journal, openJournal } from './simulator/journal.ts'
import {
  contentOf,
  isUp,
  logOf,
  type Machine,
  newMachine,
  observeMachine,
  onlyDisk,
  resourcesOf,
} from './simulator/machine.ts'
import type { SimulatorParts } from './simulator/parts.ts'
import { snapshotVerbs } from './simulator/snapshots.ts'

export interface SimulatorOptions {
  /** The machines live here; two drivers on one folder see the same machines. */
  folder: string
  clock?: Clock
  /** From vCPUs to SSH banner. */
  bootMs?: number
  /** From power button to off. */
  shutdownMs?: number
  /** A smaller host than the unlimited one. */
  facts?: Partial<HostFacts>
}

export interface Simulator extends ComputeDriver {
  fault(fault: Fault): void
  clearFaults(): void
  /** The guest runs `poweroff`. */
  powerOffFromInside(id: InstanceId): void
  /** The process dies, as after SIGKILL. */
  crash(id: InstanceId): void
  /** The guest ignores the power button until its next start. */
  hang(id: InstanceId): void
  /** Its SSH banner never shows; may be said before it is made. */
  neverReady(id: InstanceId): void
  setStats(id: InstanceId, stats: Partial<InstanceStats> | null): void
  /** Somebody in the guest changes what its disk holds; simulator/guest.ts has the words that script the next boot. */
  write(id: InstanceId, text: string): void
  read(id: InstanceId): string
}

/** Of a guest that is off: its counters are still there. */
const NOTHING_USED = { cpuPercent: null, memoryUsedBytes: null, diskUsedBytes: null }
const UNKNOWN_STATS: Omit<InstanceStats, 'measuredAt'> = {
  ...NOTHING_USED,
  run: null,
  memoryTotalBytes: null,
  diskTotalBytes: null,
  networkInBytes: null,
  networkOutBytes: null,
  diskReadBytes: null,
  diskWriteBytes: null,
  diskReadOps: null,
  diskWriteOps: null,
}
const UNLIMITED: HostFacts = {
  cores: null,
  memoryMib: null,
  diskBytes: null,
  diskFreeBytes: null,
  bootSlots: null,
  network: 'none',
  facts: { accelerator: 'simulated' },
}

export function createSimulator(options: SimulatorOptions): Simulator {
  const { folder, clock = realClock, bootMs = 300, shutdownMs = 200, facts = {} } = options
  const machines = new Map<InstanceId, Machine>()
  const listeners: ((id: InstanceId) => void)[] = []
  /** Those who wait for a machine's banner, to be woken when it changes. */
  const waiting = new Map<InstanceId, Set<AbortController>>()
  const faults = createFaults(clock.sleep)
  let journal: Journal | null = null
  let isOpen = false
  let closing = new AbortController()

  /** Also for the API's process, which only reads logs and never opens the driver. */
  function opened(): Journal {
    if (journal) return journal
    journal = openJournal(folder)
    journal.catchUp(machines)
    return journal
  }

  function change(id: InstanceId, changes: Partial<Machine>): Machine {
    const machine = { ...(machines.get(id) ?? newMachine(id)), ...changes }
    opened().write(machine)
    machines.set(id, machine)
    for (const waiter of waiting.get(id) ?? []) waiter.abort()
    return machine
  }

  function announce(id: InstanceId): void {
    for (const listener of listeners) listener(id)
  }

  /** Says it when the guest will have shut down. The note in `offAt` is the truth; this is only the hint. */
  function announceAt(id: InstanceId, at: number): void {
    clock
      .sleep(Math.max(0, at - clock.now()), closing.signal)
      .then(() => announce(id))
      .catch(() => {}) // closed before
  }

  function machineWithDisk(id: InstanceId): Machine {
    const machine = machines.get(id)
    if (!machine || machine.disks.length === 0) throw new Error(`${id} has no disk`)
    return machine
  }

  /** Runs a verb between its scripted faults. */
  async function verb<T>(
    name: Verb,
    id: InstanceId | null,
    signal: AbortSignal | null,
    act: () => T,
  ): Promise<Awaited<T>> {
    signal?.throwIfAborted()
    await faults.strike(name, id, 'before', signal ?? undefined)
    const result = await act()
    await faults.strike(name, id, 'after', signal ?? undefined)
    return result
  }

  async function waitForBanner(id: InstanceId, waitMs: number, signal: AbortSignal): Promise<boolean> {
    const deadline = clock.now() + waitMs
    for (;;) {
      const machine = machines.get(id)
      const now = clock.now()
      const readyAt = machine?.readyAt ?? Number.POSITIVE_INFINITY
      const isRunning = isUp(machine, now)
      if (isRunning && !machine.neverReady && readyAt <= now) return true
      // Nobody will ever answer there before somebody starts it: no reason to let the caller wait.
      if (!isRunning || now >= deadline) return false
      const next = machine.neverReady ? deadline : Math.min(readyAt, deadline)
      await sleepUntilChange(id, Math.min(next, machine.offAt ?? next) - now, signal)
    }
  }

  async function sleepUntilChange(id: InstanceId, ms: number, signal: AbortSignal): Promise<void> {
    const waiter = new AbortController()
    const waiters = waiting.get(id) ?? new Set()
    waiting.set(id, waiters.add(waiter))
    try {
      await clock.sleep(ms, AbortSignal.any([signal, waiter.signal, closing.signal]))
    } catch (error) {
      if (!waiter.signal.aborted || signal.aborted) throw error
    } finally {
      waiters.delete(waiter)
      if (waiters.size === 0) waiting.delete(id)
    }
  }

  const parts: SimulatorParts = { clock, bootMs, folder, find: (id) => machines.get(id), change, verb }

  return {
    name: 'simulator',

    async open() {
      if (isOpen) return
      isOpen = true
      closing = new AbortController()
      opened()
      for (const { id, power, offAt } of machines.values()) {
        if (power === 'running' && offAt !== null && offAt > clock.now()) announceAt(id, offAt)
      }
    },
    async close() {
      closing.abort(new Error('the simulator is closed'))
      journal?.close()
      journal = null
      isOpen = false
    },
    hostFacts: () => verb('hostFacts', null, null, () => ({ ...UNLIMITED, ...facts })),

    ensureDisk: (spec, signal) =>
      verb('ensureDisk', spec.id, signal, () => {
        const disks = machines.get(spec.id)?.disks ?? []
        if (!disks.includes(spec.generation)) change(spec.id, { disks: [...disks, spec.generation] })
      }),

    ensureRunning: (spec, signal) =>
      verb('ensureRunning', spec.id, signal, () => {
        const now = clock.now()
        if (isUp(machines.get(spec.id), now)) return
        if (!machines.get(spec.id)?.disks.includes(spec.generation)) {
          throw new CloudError('unavailable', `${spec.id} has no disk of generation ${spec.generation} yet`)
        }
        endExports(parts, spec.id)
        change(spec.id, {
          hostname: spec.hostname,
          ...onlyDisk(machines.get(spec.id)!, spec.generation), // what a rebuild replaced is of no use any more
          power: 'running',
          startedAt: now,
          readyAt: now + bootMs,
          offAt: null,
          isHung: false,
        })
      }),

    requestShutdown: (id) =>
      verb('requestShutdown', id, null, () => {
        const machine = machines.get(id)
        const now = clock.now()
        if (!isUp(machine, now) || machine.isHung || machine.offAt !== null) return
        change(id, { offAt: now + shutdownMs })
        announceAt(id, now + shutdownMs)
      }),

    ensureStopped: (id, signal) =>
      verb('ensureStopped', id, signal, () => {
        endExports(parts, id)
        const machine = machines.get(id)
        if (!machine || machine.power === 'stopped') return
        change(id, { power: 'stopped', startedAt: null, readyAt: null, offAt: null, isHung: false })
      }),

    ensureAbsent: (id, signal) =>
      verb('ensureAbsent', id, signal, () => {
        endExports(parts, id)
        discardPrepared(folder, id)
        if (!machines.has(id)) return
        opened().writeGone(id)
        machines.delete(id)
        for (const waiter of waiting.get(id) ?? []) waiter.abort()
      }),

    forgetSecrets: (spec) => verb('forgetSecrets', spec.id, null, () => {}), // it never keeps any

    waitForSsh: (spec, waitMs, signal) =>
      verb('waitForSsh', spec.id, signal, () => waitForBanner(spec.id, waitMs, signal)),

    ...snapshotVerbs(parts),
    ...exportVerbs(parts),
    ...diskVerbs(parts),

    observe: (id) => verb('observe', id, null, () => observeMachine(machines.get(id), clock.now())),

    list: () =>
      verb('list', null, null, () => {
        const now = clock.now()
        const seen = [...machines.values()].map((machine) => [machine.id, observeMachine(machine, now)] as const)
        return new Map(seen.filter(([, { power }]) => power !== 'absent'))
      }),

    stats: (id) =>
      verb('stats', id, null, () => {
        const machine = machines.get(id)
        if (machine?.power !== 'running') return null
        const measuredAt = new Date(machine.stats?.measuredAt ?? clock.now())
        const asleep = isUp(machine, clock.now()) ? {} : NOTHING_USED
        return { ...UNKNOWN_STATS, ...machine.stats, ...asleep, measuredAt }
      }),

    readLog: (id, maxBytes) =>
      verb('readLog', id, null, () => {
        // Asked by the API's process too, which has not made the machine: read what the worker wrote meanwhile.
        opened().catchUp(machines)
        const machine = machines.get(id)
        const log = Buffer.from(machine ? logOf(machine, clock.now()) : '')
        return log.subarray(Math.max(0, log.length - maxBytes))
      }),

    resources: () =>
      verb('resources', null, null, () => [
        ...[...machines.values()].flatMap(resourcesOf),
        ...exportResources(folder),
        ...preparedResources(folder),
      ]),

    async removeHostParts() {}, // there are none
    onChange: (listener) => void listeners.push(listener),

    fault: faults.add,
    clearFaults: faults.clear,
    powerOffFromInside(id) {
      if (!isUp(machines.get(id), clock.now())) return
      change(id, { offAt: clock.now() })
      announce(id)
    },
    crash(id) {
      if (machines.get(id)?.power !== 'running') return
      endExports(parts, id)
      change(id, { power: 'crashed', startedAt: null, readyAt: null, offAt: null })
      announce(id)
    },
    hang: (id) => void change(id, { isHung: true }),
    neverReady: (id) => void change(id, { neverReady: true }),
    setStats: (id, stats) => void change(id, { stats }),
    write(id, text) {
      const machine = machineWithDisk(id)
      change(id, { contents: { ...machine.contents, [Math.max(...machine.disks)]: text } })
    },
    read: (id) => contentOf(machineWithDisk(id)),
  }
}
