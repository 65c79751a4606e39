/** What the simulator's groups of verbs share; built by simulator.ts. */
import type { Clock } from '../../../lib/clock.ts'
import type { InstanceId } from '../../../model/ids.ts'
import type { Verb } from './faults.ts'
import type { Machine } from './machine.ts'

export interface SimulatorParts {
  clock: Clock
  /** From vCPUs to SSH banner. */
  bootMs: number
  /** Where things that are files lie. */
  folder: string
  find(id: InstanceId): Machine | undefined
  /** Notes it in the journal; a machine that is not there is made. */
  change(id: InstanceId, changes: Partial<Machine>): Machine
  /** Runs a verb between its scripted faults. */
  verb<T>(name: Verb, id: InstanceId | null, signal: AbortSignal | null, act: () => T): Promise<Awaited<T>>
}
