/** The steps that bring an instance up: a place, a disk, power, and on the first run its SSH banner. */
import type { InstanceId } from '../../model/ids.ts'
import type { OperationKind } from '../../model/operation.ts'
import * as hosts from '../../store/hosts.ts'
import * as images from '../../store/images.ts'
import * as incidents from '../../store/incidents.ts'
import * as instances from '../../store/instances.ts'
import * as operations from '../../store/operations.ts'
import * as strands from '../../store/strands.ts'
import { goto, type Outcome, type StepContext, wait } from '../engine/strand.ts'
import type { WorkerTools } from '../tools.ts'
import { choosePlace } from './placement.ts'
import { recordCrash } from './power.ts'

type Context = StepContext<WorkerTools>

/** The operations that end when the machine is up. */
const UP: readonly OperationKind[] = ['instance.create', 'instance.start', 'instance.reboot', 'instance.rebuild']

const NO_ROOM_WAIT_MS = 2_000
const BOOT_SLOT_WAIT_MS = 300
/** A guest without an SSH server (an imported image may have none) holds its slot no longer than this. */
const BOOT_SLOT_SECONDS = 60
/** One wait for the banner; between two of them the strand looks whether the guest still runs. */
const SSH_WAIT_MS = 20_000
/** Ports below are likelier to be somebody else's. */
const SSH_PORT_FIRST = 22_001

/**
 * Takes the room of a host under its lock, so that two strands never take the same. The row of the host decides, not
 * this worker's own view: the place may be another worker's, which the lease is handed to.
 */
export async function place({ id, db, tools, write }: Context): Promise<Outcome<'disk' | 'restore' | 'place'>> {
  const instanceId = id as InstanceId
  let placed = false
  let begins: 'disk' | 'restore' = 'disk'
  await write(async (tx) => {
    const row = await instances.lock(tx, instanceId)
    placed = row.host_id !== null
    if (row.restore_backup_id !== null) begins = 'restore'
    if (placed) return
    await hosts.lockForPlacement(tx, row.region_id)
    const choice = choosePlace(await hosts.list(tx, { regionId: row.region_id }), {
      vcpus: row.vcpus,
      memoryMib: row.memory_mib,
    })
    if ('reason' in choice) {
      await instances.change(tx, instanceId, { reason: choice.reason })
      await operations.report(tx, id, { message: choice.reason })
      return
    }
    const image = await images.get(tx, row.image_id)
    await instances.place(tx, instanceId, {
      hostId: choice.host.id,
      // What comes from a backup stands on no image, and must not be started from one when its disk is missing.
      imageDigest: begins === 'restore' ? null : image.digest,
      sshPort: tools.settings.forwardsSsh ? await hosts.freeSshPort(tx, choice.host.id, SSH_PORT_FIRST) : null,
    })
    await strands.setHost(tx, id, choice.host.id)
    await instances.change(tx, instanceId, { reason: null })
    placed = true
  })
  if (!placed) return wait(NO_ROOM_WAIT_MS)
  const { hostId } = await instances.get(db, instanceId)
  return { kind: 'goto', step: begins, handOver: !tools.hosts.includes(hostId!) }
}

export async function disk({ id, db, tools, signal }: Context): Promise<Outcome<'boot'>> {
  const spec = await instances.spec(db, id as InstanceId)
  await tools.compute.ensureDisk(spec, signal)
  return goto('boot', (tx) => operations.report(tx, id, { message: 'disk made' }))
}

/** The vCPUs run. A guest that was up before is `running` with that; a new one has to show its SSH banner first. */
export async function boot({ id, db, tools, signal }: Context): Promise<Outcome<'ready' | 'settle' | 'boot'>> {
  const instanceId = id as InstanceId
  const instance = await instances.get(db, instanceId)
  if (instance.hostId && (await isCrowded(db, instance.hostId, tools))) {
    return wait(BOOT_SLOT_WAIT_MS, (tx) =>
      operations.report(tx, id, { message: 'waiting until other guests of the host have booted' }),
    )
  }
  const spec = await instances.spec(db, instanceId)
  await tools.compute.ensureDisk(spec, signal)
  await tools.compute.ensureRunning(spec, signal)
  const { startedAt } = await tools.compute.observe(instanceId)
  if (instance.provisionedAt === null) {
    return {
      kind: 'goto',
      step: 'ready',
      async write(tx) {
        await instances.change(tx, instanceId, { startedAt, reason: null })
        await operations.report(tx, id, { message: 'booting' })
      },
    }
  }
  return goto('settle', async (tx) => {
    await instances.change(tx, instanceId, { state: 'running', startedAt, reason: null })
    await incidents.resolve(tx, id, 'the instance runs')
    await operations.finish(tx, id, UP, 'succeeded')
  })
}

async function isCrowded(db: Context['db'], hostId: `host_${string}`, tools: WorkerTools): Promise<boolean> {
  const slots = tools.bootSlots()
  return slots !== null && (await hosts.countBooting(db, hostId, BOOT_SLOT_SECONDS)) >= slots
}

/** Ready means that the banner was read: from here on somebody can log in. */
export async function ready(context: Context): Promise<Outcome<'ready' | 'settle' | 'revive'>> {
  const { id, db, tools, signal } = context
  const instanceId = id as InstanceId
  const spec = await instances.spec(db, instanceId)
  if (await tools.compute.waitForSsh(spec, SSH_WAIT_MS, signal)) {
    await tools.compute.forgetSecrets(spec)
    return goto('settle', async (tx) => {
      await instances.forgetPasswordHash(tx, instanceId)
      await instances.change(tx, instanceId, { state: 'running', provisioned: true, reason: null })
      await incidents.resolve(tx, id, 'the instance runs')
      await operations.finish(tx, id, UP, 'succeeded')
    })
  }
  const seen = await tools.compute.observe(instanceId)
  if (seen.power !== 'running') return recordCrash(context, seen)
  return wait(0)
}
