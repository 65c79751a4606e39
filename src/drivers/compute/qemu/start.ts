/** Makes an instance run: goes on with the process that is there, or brings up a new one with all it needs. */
import { together } from '../../../lib/together.ts'
import { CloudError } from '../../../model/errors.ts'
import type { InstanceId } from '../../../model/ids.ts'
import type { InstanceSpec } from '../compute.ts'
import { type QemuSpec, qemuArgs } from './args.ts'
import { filesFor, hostOf, isThere, type QemuContext } from './context.ts'
import { growDisk, removeOldGenerations } from './disk.ts'
import { endExports } from './exports/exports.ts'
import { seedInput } from './guest/first-boot.ts'
import { writeSeed } from './guest/seed.ts'
import { withKvmGroup } from './host/accel.ts'
import type { Owner } from './host/process.ts'
import { launch } from './launch.ts'
import { ensureLog } from './log.ts'
import { adopt, answering, livingProcess, note, tapOf } from './machine.ts'
import { userNet } from './network/network.ts'
import { makeTap, removeTap } from './network/tap.ts'
import { powerOf, RESUMABLE } from './observe.ts'
import { type InstanceRecord, makeRunFolder, newRecord, readRecord } from './record.ts'
import { endProcess } from './stop.ts'

export async function ensureRunning(context: QemuContext, spec: InstanceSpec, signal: AbortSignal): Promise<void> {
  let record = (await readRecord(filesFor(context, spec.id))) ?? newRecord(spec)
  const process = await livingProcess(context, record)
  if (process) {
    record = await note(context, await adopt(context, record, process), { wanted: 'running' })
    if (record.generation === spec.generation && (await goOn(context, spec.id))) return
    await endProcess(context, record)
    record = await note(context, record, { process: null, startedAt: null })
  }
  signal.throwIfAborted()
  await start(context, spec, record, signal)
}

/** True when the vCPUs run now; false when this process will never run a guest again. */
async function goOn(context: QemuContext, id: InstanceId): Promise<boolean> {
  return answering(context, id, async (qmp) => {
    const { status } = await qmp.execute<{ status: string }>('query-status')
    if (powerOf(status) === 'off' || status === 'guest-panicked' || status === 'internal-error') return false
    if (RESUMABLE.has(status)) await qmp.execute('cont')
    return true
  })
}

/** A memory that a new process begins with, and the machine type that it fits. */
export interface SavedMemory {
  tag: string
  machine: string
}
/** It answers nobody before it has read the memory. */
const LOAD_MS = 5 * 60_000

export async function start(
  context: QemuContext,
  spec: InstanceSpec,
  old: InstanceRecord,
  signal: AbortSignal,
  memory: SavedMemory | null = null,
): Promise<void> {
  const { accel, network, nameservers } = hostOf(context)
  const { prefix } = context.options
  const owner = await context.findOwner()
  const at = filesFor(context, spec.id)
  const disk = at.disk(spec.generation)
  if (!(await isThere(disk))) {
    throw new CloudError('conflict', `the instance has no disk of generation ${spec.generation}`)
  }
  await endExports(context, spec.id)
  if (old.net === 'tap' && network.mode === 'routed') await removeTap(prefix, tapOf(context, old))
  const record = await note(context, old, {
    ...newRecord(spec),
    wanted: old.wanted,
    net: spec.isIsolated ? 'none' : network.mode === 'routed' ? 'tap' : 'user',
  })
  await together(
    !memory && growDisk(disk, spec.diskGib, signal), // the disk of a memory is as large as it was then
    writeSeed(at.seed(spec.generation), seedInput(spec, record, nameservers), owner ?? undefined),
    ensureLog(at.serial, owner),
    makeRunFolder(at, owner),
    record.net === 'tap' && connect(context, record, owner),
  )
  signal.throwIfAborted()
  const args = qemuArgs({
    id: spec.id,
    uuid: spec.uuid,
    vcpus: spec.vcpus,
    memoryMib: spec.memoryMib,
    mac: spec.mac,
    accel: accel.kind,
    disk,
    seed: at.seed(spec.generation),
    run: at.run,
    serialLog: at.serial,
    net: netOf(context, spec, record),
    memory,
  })
  const as = accel.kind === 'kvm' ? await withKvmGroup(owner) : owner
  await launch(context, record, args, as, signal, ...(memory ? [LOAD_MS] : []))
  await removeOldGenerations(at.folder, spec.generation)
}

function netOf(context: QemuContext, spec: InstanceSpec, record: InstanceRecord): QemuSpec['net'] {
  if (record.net === 'none') return { kind: 'none' }
  if (record.net === 'tap') return { kind: 'tap', tap: tapOf(context, record).tap }
  return { kind: 'user', ...userNet(spec.ipv4, spec.sshPort) }
}

async function connect(context: QemuContext, record: InstanceRecord, owner: Owner | null): Promise<void> {
  try {
    await makeTap(context.options.prefix, tapOf(context, record), owner?.uid ?? process.getuid!())
  } catch (error) {
    const message = `the network of the instance could not be made: ${(error as Error).message}`
    throw new CloudError('unavailable', message, { cause: error })
  }
}
