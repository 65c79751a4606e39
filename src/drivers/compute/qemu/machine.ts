/** One machine: our notes on it and the process that is really there, brought together. */
import { CloudError } from '../../../model/errors.ts'
import type { InstanceId } from '../../../model/ids.ts'
import { filesFor, type QemuContext } from './context.ts'
import { findMachines, isAlive, type ProcessIdentity, startedAt } from './host/process.ts'
import { type TapSpec, tapName } from './network/network.ts'
import { type Qmp, QmpGone } from './qmp.ts'
import { type InstanceRecord, writeRecord } from './record.ts'

/** The changed notes, written down when they differ. */
export async function note(
  context: QemuContext,
  record: InstanceRecord,
  change: Partial<InstanceRecord>,
): Promise<InstanceRecord> {
  const next = { ...record, ...change }
  if (JSON.stringify(next) !== JSON.stringify(record)) await writeRecord(filesFor(context, record.id), next)
  return next
}

/** Our machines on this host by uuid, also those that nobody noted down. */
export async function findOurs(context: QemuContext): Promise<Map<string, ProcessIdentity[]>> {
  const owner = await context.findOwner()
  return findMachines(owner?.uid ?? process.getuid!(), context.options.paths.run)
}

/** The noted process, or one that was started and not noted. `running`: what `findOurs` found just before. */
export async function livingProcess(
  context: QemuContext,
  record: Pick<InstanceRecord, 'uuid' | 'process'>,
  running?: Map<string, ProcessIdentity[]>,
): Promise<ProcessIdentity | null> {
  if (record.process && (await isAlive(record.process))) return record.process
  return (running ?? (await findOurs(context))).get(record.uuid)?.[0] ?? null
}

/** Notes down a process that runs already. */
export async function adopt(
  context: QemuContext,
  record: InstanceRecord,
  process: ProcessIdentity,
): Promise<InstanceRecord> {
  if (record.process?.pid === process.pid && record.startedAt) return record
  return note(context, record, { process, startedAt: (await startedAt(process)).toISOString() })
}

/** Throws `unavailable` when QEMU does not answer. */
export async function answering<T>(
  { monitors }: QemuContext,
  id: InstanceId,
  act: (qmp: Qmp) => Promise<T>,
): Promise<T> {
  try {
    return await monitors.use(id, act)
  } catch (error) {
    if (!(error instanceof QmpGone)) throw error
    throw new CloudError('unavailable', 'the virtual machine monitor does not answer', { cause: error })
  }
}

export const tapOf = ({ host, options }: QemuContext, record: InstanceRecord): TapSpec => ({
  tap: tapName(options.prefix, record.number),
  id: record.id,
  mac: record.mac,
  ipv4: record.ipv4,
  ipv6: host && !host.network.ipv6 ? null : record.ipv6,
})
