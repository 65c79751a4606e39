import { defined } from '../../lib/defined.ts'
import * as catalog from '../../services/catalog.ts'
import * as images from '../../services/images.ts'
import { malformed } from '../http/errors.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { whole } from './present/common.ts'
import { presentImage } from './present/images.ts'
import { presentOperation } from './present/operations.ts'

const write = { scope: 'images:write', noun: 'image' } as const

const accepted = ({ image, operation }: images.Accepted) => ({
  image: presentImage(image),
  operation: presentOperation(operation),
})

export const listImages = route({
  ...endpoints.listImages,
  scope: 'images:read',
  run: async (ctx) => whole(await catalog.images(ctx), presentImage),
})

export const buildImage = route({
  ...endpoints.buildImage,
  ...write,
  run: async (ctx, { params }) => accepted(await images.build(ctx, params.id)),
})

export const importImage = route({
  ...endpoints.importImage,
  ...write,
  run: async (ctx, { params, body }) => accepted(await images.importFrom(ctx, params.id, defined(body))),
})

export const uploadImage = route({
  ...endpoints.uploadImage,
  ...write,
  takes: 'stream',
  run: (ctx, { params, stream, signal, headers }) =>
    images.receiveUpload(ctx, params.id, stream, rangeOf(headers['content-range']), signal),
})

export const deleteImage = route({
  ...endpoints.deleteImage,
  ...write,
  run: async (ctx, { params }) => presentImage(await images.remove(ctx, params.id)),
})

/** `bytes 0-1023/4096` (RFC 9110, section 14.4); null = the whole file comes at once. */
function rangeOf(header: string | undefined): images.UploadRange | null {
  if (header === undefined) return null
  const [, first, last, size] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(header) ?? []
  const [start, end, total] = [Number(first), Number(last), Number(size)]
  if (size !== undefined && start <= end && end < total) return { start, total }
  const message = 'must be like `bytes 0-1023/4096`'
  throw malformed([{ where: 'header', path: ['Content-Range'], code: 'invalid_format', message }])
}
