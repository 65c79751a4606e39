/** Images that an account makes of its backups: only it sees them, and makes instances of them. */
import { startStrand } from '../../jobs/engine/start.ts'
import { type ImageWork, imageStrand, imageStrandId } from '../../jobs/image/image.ts'
import { CloudError, invalidField, notFound } from '../../model/errors.ts'
import * as backupRows from '../../store/backups.ts'
import { atomically } from '../../store/db.ts'
import * as hosts from '../../store/hosts.ts'
import type { Image } from '../../store/images.ts'
import * as images from '../../store/images.ts'
import * as operations from '../../store/operations.ts'
import * as strands from '../../store/strands.ts'
import { ownImages } from '../catalog.ts'
import { allow, type Ctx } from '../ctx.ts'
import * as backups from './backups.ts'

export type { Image }

const NAME_MAX = 255

/** Oldest first; `state` says which can be used yet. */
export async function list(ctx: Ctx): Promise<Image[]> {
  allow(ctx, 'images:read')
  return ownImages(ctx)
}

/** By id or number. */
export async function get(ctx: Ctx, ref: string | number): Promise<Image> {
  const image = (await list(ctx)).find(({ id, number }) => id === ref || String(number) === String(ref))
  if (!image) throw notFound('template', String(ref))
  return image
}

/** A completed backup as an image. It is a copy: deleting the backup leaves it as it is. */
export async function convert(
  ctx: Ctx,
  backupRef: backups.BackupRef,
  { instance, name }: backups.OfInstance & { name?: string } = {},
): Promise<{ image: Image; operation: operations.Operation }> {
  allow(ctx, 'instances:write')
  const backup = await backups.get(ctx, backupRef, instance === undefined ? {} : { instance })
  const label =
    name?.trim() || `${backup.origin.name}, ${(backup.pointAt ?? backup.createdAt).toISOString().slice(0, 16)}Z`
  if (label.length > NAME_MAX) throw invalidField('name', `a name has at most ${NAME_MAX} characters`, name)
  if (ctx.settings.compute !== 'qemu') throw new CloudError('conflict', 'a simulator has no image files')
  return atomically(ctx.db, async (tx) => {
    const { state } = await backupRows.lock(tx, backup.id)
    const source = await backupRows.findSource(tx, backup.id)
    if (!source) throw new CloudError('conflict', `cannot convert a backup that is ${state}`)
    const host = (await hosts.list(tx)).find(({ isOnline, driver }) => isOnline && driver === 'qemu')
    if (!host) throw new CloudError('unavailable', 'no host is online; try again in a moment')
    const id = await images.insertOwn(tx, {
      accountId: backup.accountId,
      name: label,
      like: await images.lock(tx, backup.origin.imageId),
      minDiskGib: Math.ceil(backup.diskBytes! / 2 ** 30),
    })
    const operation = await operations.open(tx, {
      accountId: backup.accountId,
      kind: 'image.convert',
      resourceId: imageStrandId(id),
      requestId: ctx.requestId,
    })
    const work: ImageWork = { imageId: id, program: 'image-from-backup', input: { ...source }, upload: null }
    await startStrand(tx, imageStrand, imageStrandId(id), { hostId: host.id, state: { ...work } })
    return { image: await images.get(tx, id), operation }
  })
}

/** For good, at once; instances that were made of it are not touched. */
export async function remove(ctx: Ctx, ref: string | number): Promise<void> {
  allow(ctx, 'instances:write')
  const { id } = await get(ctx, ref)
  await atomically(ctx.db, async (tx) => {
    await images.lock(tx, id)
    if (await strands.find(tx, imageStrandId(id))) {
      throw new CloudError('conflict', 'the template is being made: wait until it is done, then try again')
    }
    await images.change(tx, id, { state: 'absent', digest: null, virtualBytes: null, fileBytes: null })
    await images.retire(tx, id)
  })
}
