/**
 * The step that makes an instance begin anew: another disk from an image under the same identity, plan and addresses.
 * Until the machine is off nothing is written, then all of it at once; what follows is the way of a new instance.
 */
import type { InstanceId } from '../../model/ids.ts'
import * as credentials from '../../store/credentials.ts'
import type { Db } from '../../store/db.ts'
import * as images from '../../store/images.ts'
import * as instances from '../../store/instances.ts'
import * as operations from '../../store/operations.ts'
import * as rebuilds from '../../store/rebuilds.ts'
import * as snapshots from '../../store/snapshots.ts'
import { goto, type Outcome, type StepContext } from '../engine/strand.ts'
import { recordLast } from '../metrics/sample.ts'
import type { WorkerTools } from '../tools.ts'

/** Hard: what the guest would save goes with its disk. */
export async function rebuild({
  id,
  db,
  tools,
  signal,
}: StepContext<WorkerTools>): Promise<Outcome<'place' | 'settle'>> {
  const instanceId = id as InstanceId
  const wish = await rebuilds.find(db, instanceId)
  if (!wish) return goto('place')
  const image = await images.find(db, wish.imageId)
  if (image?.state !== 'available') {
    const { power } = await tools.compute.observe(instanceId)
    return goto('settle', (tx) => giveUp(tx, instanceId, wish.imageId, power === 'running'))
  }
  await recordLast(db, tools.compute, instanceId)
  await tools.compute.ensureStopped(instanceId, signal)
  return goto('place', async (tx) => {
    await instances.lock(tx, instanceId)
    await snapshots.forget(tx, instanceId, wish.generation)
    await credentials.replaceRootPassword(tx, instanceId, wish.passwordSealed)
    await rebuilds.install(tx, instanceId, { imageId: image.id, imageDigest: image.digest })
    await operations.report(tx, id, { message: `installing ${image.name}` })
  })
}

/** The image was removed meanwhile: the instance stays what it is. */
async function giveUp(tx: Db, id: InstanceId, imageId: string, runs: boolean): Promise<void> {
  await instances.lock(tx, id)
  const message = `image ${imageId} is not installed any more; nothing was changed`
  await instances.change(tx, id, { state: runs ? 'running' : 'stopped', desiredPower: runs ? 'on' : 'off' })
  await rebuilds.forget(tx, id)
  await operations.finish(tx, id, ['instance.rebuild'], 'failed', { message, errorCode: 'conflict' })
}
