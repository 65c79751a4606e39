/** Faults that a test or a curious developer scripts: an error or a delay before or after a verb has its effect. */
import type { InstanceId } from '../../../model/ids.ts'

export type Verb =
  | 'ensureDisk'
  | 'ensureRunning'
  | 'requestShutdown'
  | 'ensureStopped'
  | 'ensureAbsent'
  | 'forgetSecrets'
  | 'waitForSsh'
  | 'observe'
  | 'list'
  | 'stats'
  | 'readLog'
  | 'resources'
  | 'hostFacts'
  | 'ensureSnapshot'
  | 'rollbackToSnapshot'
  | 'ensureSnapshotAbsent'
  | 'listSnapshots'
  | 'openExport'
  | 'closeExport'
  | 'prepareDisk'
  | 'replaceDisk'
  | 'discardPreparedDisk'
  | 'screenshot'
  | 'inspectGuest'
  | 'checkFilesystems'

export interface Fault {
  verb: Verb
  /** Every instance when absent. */
  instanceId?: InstanceId
  /** `after`: the effect is there, but the caller hears of an error. */
  when: 'before' | 'after'
  error?: Error
  delayMs?: number
  /** How often it strikes; once when absent. `Infinity` is for ever. */
  times?: number
}

export interface Faults {
  add(fault: Fault): void
  clear(): void
  /** Waits and throws as scripted; a signal that is aborted ends the waiting. */
  strike(verb: Verb, id: InstanceId | null, when: Fault['when'], signal?: AbortSignal): Promise<void>
}

export function createFaults(sleep: (ms: number, signal?: AbortSignal) => Promise<void>): Faults {
  let scripted: (Fault & { left: number })[] = []
  return {
    add: (fault) => void scripted.push({ ...fault, left: fault.times ?? 1 }),
    clear() {
      scripted = []
    },
    async strike(verb, id, when, signal) {
      const fault = scripted.find(
        (one) => one.verb === verb && one.when === when && (one.instanceId === undefined || one.instanceId === id),
      )
      if (!fault) return
      fault.left -= 1
      if (fault.left <= 0) scripted = scripted.filter((one) => one !== fault)
      if (fault.delayMs !== undefined) await sleep(fault.delayMs, signal)
      if (fault.error) throw fault.error
    },
  }
}
