/** Snapshots of machines that do not exist: what the disk held then, and whether the machine ran on from there. */
import { CloudError, notFound } from '../../../model/errors.ts'
import type { InstanceSpec, SnapshotFacts, SnapshotVerbs } from '../compute.ts'
import { endExports } from './exports.ts'
import { isUp, type Machine, type SimulatedSnapshot } from './machine.ts'
import type { SimulatorParts } from './parts.ts'

export function snapshotVerbs(parts: SimulatorParts): SnapshotVerbs {
  const { clock, bootMs, find, change, verb } = parts
  function withDisk({ id, generation }: InstanceSpec): Machine {
    const machine = find(id)
    if (machine?.disks.includes(generation)) return machine
    throw new CloudError('conflict', `the instance has no disk of generation ${generation}`)
  }
  const search = (machine: Machine, tag: string, generation: number) =>
    machine.snapshots.find((snapshot) => snapshot.tag === tag && snapshot.generation === generation)

  return {
    ensureSnapshot: (spec, tag, { withMemory }, signal) =>
      verb('ensureSnapshot', spec.id, signal, () => {
        const machine = withDisk(spec)
        const there = search(machine, tag, spec.generation)
        if (there) return factsOf(there)
        if (withMemory && !isUp(machine, clock.now())) {
          throw new CloudError('conflict', 'the instance does not run, so there is no memory to keep')
        }
        const content = machine.contents[spec.generation] ?? ''
        const snapshot = { tag, generation: spec.generation, hasMemory: withMemory, content }
        change(spec.id, { snapshots: [...machine.snapshots, snapshot] })
        return { ...factsOf(snapshot), grownBytes: Buffer.byteLength(content) }
      }),

    rollbackToSnapshot: (spec, tag, { withMemory }, signal) =>
      verb('rollbackToSnapshot', spec.id, signal, () => {
        const machine = withDisk(spec)
        const snapshot = search(machine, tag, spec.generation)
        if (!snapshot || (withMemory && !snapshot.hasMemory)) throw notFound('snapshot', tag)
        const now = clock.now()
        const isRunning = isUp(machine, now)
        if (isRunning && !withMemory) {
          throw new CloudError('conflict', 'the instance runs: stop it before its disk goes back')
        }
        endExports(parts, spec.id)
        change(spec.id, {
          contents: { ...machine.contents, [spec.generation]: snapshot.content },
          ...(withMemory && !isRunning
            ? { power: 'running', startedAt: now, readyAt: now + bootMs, offAt: null, isHung: false }
            : {}),
        })
      }),

    ensureSnapshotAbsent: (spec, tag, signal) =>
      verb('ensureSnapshotAbsent', spec.id, signal, () => {
        const machine = find(spec.id)
        if (!machine?.snapshots.some((snapshot) => snapshot.tag === tag)) return
        change(spec.id, { snapshots: machine.snapshots.filter((snapshot) => snapshot.tag !== tag) })
      }),

    listSnapshots: (id) => verb('listSnapshots', id, null, () => (find(id)?.snapshots ?? []).map(factsOf)),
  }
}

/** Nothing holds the memory of a machine that has none. */
const factsOf = ({ tag, hasMemory }: SimulatedSnapshot): SnapshotFacts => ({
  tag,
  hasMemory,
  memoryBytes: 0,
  grownBytes: null,
})
