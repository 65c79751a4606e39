/** Ends an instance's process and takes away what only a running instance has. */
import { rm } from 'node:fs/promises'
import { type InstanceId, uuidOfId } from '../../../model/ids.ts'
import { cgroupsOf, filesFor, type QemuContext } from './context.ts'
import { endExports } from './exports/exports.ts'
import { removeGroups } from './host/cgroup.ts'
import { isAlive, kill, waitForExit } from './host/process.ts'
import { findOurs, note, tapOf } from './machine.ts'
import { removeTap } from './network/tap.ts'
import { type InstanceRecord, readRecord } from './record.ts'

const QUIT_MS = 3_000 // for writing caches back, before SIGKILL

export async function ensureStopped(context: QemuContext, id: InstanceId): Promise<void> {
  const record = await readRecord(filesFor(context, id))
  const uuid = record?.uuid ?? uuidOfId('instance', id)
  const noted = record && (await note(context, record, { wanted: 'stopped' }))
  if (uuid) await endProcess(context, noted ?? { id, uuid, process: null })
  await endExports(context, id)
  await removeTraces(context, id, noted)
  if (noted) await note(context, noted, { process: null, startedAt: null })
}

export async function ensureAbsent(context: QemuContext, id: InstanceId): Promise<void> {
  await ensureStopped(context, id)
  await rm(filesFor(context, id).folder, { recursive: true, force: true })
}

/** `quit` writes the disk's caches back; whatever of this instance is still there then is killed. */
export async function endProcess(
  context: QemuContext,
  { id, uuid, process }: Pick<InstanceRecord, 'id' | 'uuid' | 'process'>,
): Promise<void> {
  const { monitors } = context
  const all = [...((await findOurs(context)).get(uuid) ?? [])]
  if (process && (await isAlive(process)) && !all.some(({ pid }) => pid === process.pid)) all.push(process)
  if (all.length > 0) {
    const quitting = monitors.use(id, (qmp) => {
      monitors.release(id) // its end is our own doing, not news
      return qmp.execute('quit', undefined, 1_000)
    })
    await quitting.catch(() => {})
    await Promise.all(all.map((one) => waitForExit(one, QUIT_MS)))
    for (const one of all) await kill(one)
  }
  monitors.drop(id)
  context.cpuSamples.delete(id)
  context.agents.delete(id)
}

/** Interface, rules, limits and sockets of an instance without a process. */
async function removeTraces(context: QemuContext, id: InstanceId, record: InstanceRecord | null): Promise<void> {
  const { prefix } = context.options
  if (record?.net === 'tap' && process.getuid!() === 0) await removeTap(prefix, tapOf(context, record))
  await removeGroups(await cgroupsOf(context), prefix, id)
  await rm(filesFor(context, id).run, { recursive: true, force: true })
}
