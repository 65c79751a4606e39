/** Installing images: build here, import from elsewhere, upload, remove. What takes time is the strand's to do. */
import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { startStrand } from '../jobs/engine/start.ts'
import { type ImageWork, imageStrand, imageStrandId } from '../jobs/image/image.ts'
import type { ImageState } from '../model/catalog.ts'
import { CloudError, invalidField, notFound } from '../model/errors.ts'
import { atomically } from '../store/db.ts'
import * as hosts from '../store/hosts.ts'
import * as images from '../store/images.ts'
import * as operations from '../store/operations.ts'
import * as strands from '../store/strands.ts'
import { allow, type Ctx } from './ctx.ts'

export type { Image } from '../store/images.ts'

export interface Accepted {
  image: images.Image
  operation: operations.Operation
}

export async function get(ctx: Ctx, id: string): Promise<images.Image> {
  allow(ctx, 'images:read')
  return ofCatalogue(ctx, id)
}

/** Accounts' own images are theirs alone: templates.ts. */
async function ofCatalogue(ctx: Ctx, id: string): Promise<images.Image> {
  const image = await images.get(ctx.db, id)
  if (image.accountId !== null) throw notFound('image', id)
  return image
}

export async function build(ctx: Ctx, id: string): Promise<Accepted> {
  allow(ctx, 'images:write')
  const { builder } = await ofCatalogue(ctx, id)
  if (!builder) {
    throw new CloudError(
      'conflict',
      `${id} cannot be built here; import it: havn image import FILE --os ${id} --sha256 …`,
    )
  }
  return begin(ctx, 'building', { imageId: id, program: 'image-build', input: { builder }, upload: null })
}

export interface ImportInput {
  source: { kind: 'url'; url: string } | { kind: 'upload' }
  format: 'qcow2' | 'raw'
  /** Of the file as it comes. Demanded for a URL: nobody else vouches for what the net delivers. */
  sha256?: string
}

export async function importFrom(ctx: Ctx, id: string, { source, format, sha256 }: ImportInput): Promise<Accepted> {
  allow(ctx, 'images:write')
  await ofCatalogue(ctx, id)
  if (source.kind === 'url') {
    if (!sha256) throw invalidField('sha256', 'give the SHA-256 that the publisher names for the file')
    const input = { source: { url: source.url, sha256 }, format }
    return begin(ctx, 'importing', { imageId: id, program: 'image-import', input, upload: null })
  }
  const upload = uploadFile(ctx, id)
  if ((await sizeOf(upload)) === null)
    throw new CloudError('conflict', `no complete upload for ${id}: upload the file first`)
  const input = { source: { file: upload, ...(sha256 ? { sha256 } : {}) }, format }
  return begin(ctx, 'importing', { imageId: id, program: 'image-import', input, upload })
}

async function begin(ctx: Ctx, state: ImageState, work: ImageWork): Promise<Accepted> {
  if (ctx.settings.compute !== 'qemu') {
    throw new CloudError('conflict', 'a simulator has no image files; every image of the catalogue is available')
  }
  return atomically(ctx.db, async (tx) => {
    const image = await images.lock(tx, work.imageId)
    const id = imageStrandId(image.id)
    const operation = await operations.open(tx, {
      accountId: ctx.caller.accountId,
      kind: state === 'building' ? 'image.build' : 'image.import',
      resourceId: id,
      requestId: ctx.requestId,
    })
    if (await strands.find(tx, id)) {
      throw new CloudError('conflict', `the last work on ${image.id} is being cleared away; try again in a moment`)
    }
    const host = (await hosts.list(tx)).find(({ isOnline, driver }) => isOnline && driver === 'qemu')
    if (!host) throw new CloudError('unavailable', 'no host is online; try again in a moment')
    await startStrand(tx, imageStrand, id, { hostId: host.id, state: { ...work } })
    // An installed image stays available while its next file is made.
    if (image.state !== 'available') await images.change(tx, image.id, { state })
    return { image: await images.get(tx, image.id), operation }
  })
}

/** Takes the image off the list at once; the file goes when no disk stands on it any more. */
export async function remove(ctx: Ctx, id: string): Promise<images.Image> {
  allow(ctx, 'images:write')
  if (ctx.settings.compute !== 'qemu') throw new CloudError('conflict', 'a simulator has no image files')
  return atomically(ctx.db, async (tx) => {
    await ofCatalogue({ ...ctx, db: tx }, id)
    const image = await images.lock(tx, id)
    if (await operations.findOpen(tx, imageStrandId(id))) {
      throw new CloudError(
        'conflict',
        `${id} is being ${image.state === 'importing' ? 'imported' : 'built'}: wait until it is done`,
      )
    }
    await images.change(tx, id, { state: 'absent', digest: null, virtualBytes: null, fileBytes: null })
    return images.get(tx, id)
  })
}

export interface UploadRange {
  /** First byte of this part. */
  start: number
  /** Of the whole file. */
  total: number
}
export interface UploadProgress {
  receivedBytes: number
  totalBytes: number | null
  isComplete: boolean
}

/**
 * Writes a part of an upload to disk as it comes. A part must begin where the last one ended; the refusal says where,
 * so that a client which was cut off knows how to go on. Without a range the stream is the whole file.
 */
export async function receiveUpload(
  ctx: Ctx,
  id: string,
  stream: Readable,
  range: UploadRange | null,
  signal: AbortSignal,
): Promise<UploadProgress> {
  allow(ctx, 'images:write')
  await ofCatalogue(ctx, id)
  const whole = uploadFile(ctx, id)
  const part = `${whole}.part`
  const received = (await sizeOf(part)) ?? 0
  if (range && range.start !== 0 && range.start !== received) {
    throw new CloudError('conflict', `the upload of ${id} goes on at byte ${received}, not at ${range.start}`)
  }
  const start = range?.start ?? 0
  await pipeline(stream, createWriteStream(part, { flags: start === 0 ? 'w' : 'r+', start, mode: 0o600 }), { signal })
  const receivedBytes = (await sizeOf(part)) ?? 0
  if (range && receivedBytes > range.total) {
    await rm(part, { force: true })
    throw new CloudError('invalid', `${receivedBytes} bytes came for a file of ${range.total}; begin again`)
  }
  const isComplete = !range || receivedBytes === range.total
  if (isComplete) await rename(part, whole)
  return { receivedBytes, totalBytes: range?.total ?? receivedBytes, isComplete }
}

const uploadFile = (ctx: Ctx, id: string): string => join(ctx.settings.uploadsFolder, `${id}.image`)

const sizeOf = (file: string): Promise<number | null> =>
  stat(file).then(
    ({ size }) => size,
    () => null,
  )
