/** Who is killed, and how everything comes up again. */
import { join } from 'node:path'
import { filesOf, readRecord } from '../../../src/drivers/compute/qemu/record.ts'
import { lastClaim } from '../../../src/drivers/tasks/child.ts'
import { identityOf, isAlive, type ProcessIdentity, signalProcess } from '../../../src/lib/process-identity.ts'
import { waitFor } from '../../../src/lib/wait.ts'
import { livingProcesses } from '../../../src/main/process-table.ts'
import type { InstanceId } from '../../../src/model/ids.ts'
import { processesWith } from '../../havn.ts'
import type { KillCloud } from './cloud.ts'

/** `machine`: the QEMU of the work; `task`: its detached process; `reader`: the qemu-nbd that serves a stopped disk. */
export const VICTIMS = ['worker', 'api', 'supervisor', 'database', 'machine', 'task', 'reader', 'store'] as const
export type Victim = (typeof VICTIMS)[number]

/** On a busy machine. */
const START_MS = 5_000

/** Whose processes are meant; null where they are not known, or not there. */
export interface Target {
  machineId: InstanceId | null
  taskId: string | null
}

/** False when there was nobody to kill: what is to die has not begun, or has ended. */
export async function strike(cloud: KillCloud, victim: Victim, target: Target): Promise<boolean> {
  const { havn, store } = cloud
  if (victim === 'store') {
    store.goAway()
    for (const one of livingProcesses(havn.paths)) if (one.name.startsWith('s3-')) signalProcess(one, 'SIGKILL')
    return true
  }
  const found = await find(cloud, victim, target)
  return found !== null && signalProcess(found, 'SIGKILL')
}

async function find(
  cloud: KillCloud,
  victim: Exclude<Victim, 'store'>,
  target: Target,
): Promise<ProcessIdentity | null> {
  const { havn } = cloud
  const { machineId, taskId } = target
  switch (victim) {
    case 'worker':
    case 'api':
      return havn.process(victim) ?? null
    case 'supervisor':
      return havn.process('havn') ?? null
    case 'database':
      return havn.process('postgres') ?? null
    case 'machine': {
      const process = machineId && (await readRecord(filesOf(havn.paths, machineId)))?.process
      return process && isAlive(process) ? process : null
    }
    case 'task':
      // The step that starts it has begun, or will not.
      return taskId === null ? null : waitFor(() => claimOf(join(havn.paths.tasks, taskId)), { timeoutMs: START_MS })
    case 'reader': {
      const [pid] = processesWith(`--socket=${havn.paths.run}/${cloud.machineId}/`)
      return pid === undefined ? null : identityOf(pid)
    }
  }
}

async function claimOf(folder: string): Promise<ProcessIdentity | null> {
  const { identity } = await lastClaim(folder)
  return identity && isAlive(identity) ? identity : null
}

/** The supervisor brings everybody back; only itself and the store are ours to bring. */
export async function recover(cloud: KillCloud, victim: Victim): Promise<void> {
  if (victim === 'supervisor') await cloud.up()
  if (victim === 'store') cloud.store.comeBack()
}
