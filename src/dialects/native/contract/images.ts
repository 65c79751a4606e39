import { z } from 'zod'
import { IMAGE_STATES } from '../../../model/catalog.ts'
import { type Endpoint, listOf, Ref, Timestamp, V } from './common.ts'
import { Operation } from './operations.ts'

export const Image = z
  .object({
    id: z.string(),
    number: z.int(),
    name: z.string(),
    family: z.string(),
    version: z.string(),
    isWindows: z.boolean(),
    minMemoryMib: z.int(),
    minDiskGib: z.int(),
    builder: z.enum(['micro', 'debian']).nullable().describe('can be built here'),
    state: z.enum(IMAGE_STATES),
    stateReason: z.string().nullable(),
    digest: z.string().nullable().describe('SHA-256 of the installed file'),
    virtualBytes: z.int().nullable(),
    fileBytes: z.int().nullable(),
    updatedAt: Timestamp,
  })
  .meta({ id: 'Image' })
export type Image = z.infer<typeof Image>

const Sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/i, 'must be 64 hexadecimal digits')
  .transform((text) => text.toLowerCase())

export const ImportImage = z
  .strictObject({
    source: z
      .discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('url'), url: z.url({ protocol: /^https?$/ }).max(4096) }),
        z.strictObject({ kind: z.literal('upload') }).describe('what `PUT …/upload` has stored'),
      ])
      .describe('where the file comes from'),
    format: z.enum(['qcow2', 'raw']).default('qcow2').describe('never guessed'),
    sha256: Sha256.optional().describe('of the file as it comes; checked before anything reads it'),
  })
  .meta({ id: 'ImportImage' })
export type ImportImage = z.input<typeof ImportImage>

export const ImageAccepted = z.object({ image: Image, operation: Operation }).meta({ id: 'ImageAccepted' })
export type ImageAccepted = z.infer<typeof ImageAccepted>

export const Upload = z
  .object({ receivedBytes: z.int(), totalBytes: z.int().nullable(), isComplete: z.boolean() })
  .meta({ id: 'Upload' })
export type Upload = z.infer<typeof Upload>

export const imagesEndpoints = {
  listImages: {
    method: 'GET',
    path: `${V}/images`,
    summary: 'List images, installed or not',
    status: 200,
    answer: listOf(Image),
  },
  buildImage: {
    method: 'POST',
    path: `${V}/images/{id}/build`,
    summary: 'Build an image here',
    status: 202,
    params: Ref,
    answer: ImageAccepted,
  },
  importImage: {
    method: 'POST',
    path: `${V}/images/{id}/import`,
    summary: 'Import an image file from a URL or an upload',
    status: 202,
    params: Ref,
    body: ImportImage,
    answer: ImageAccepted,
  },
  uploadImage: {
    method: 'PUT',
    path: `${V}/images/{id}/upload`,
    summary: 'Upload an image file, whole or in parts (Content-Range)',
    status: 200,
    params: Ref,
    consumes: 'application/octet-stream',
    answer: Upload,
  },
  deleteImage: {
    method: 'DELETE',
    path: `${V}/images/{id}`,
    summary: 'Remove the installed file of an image',
    status: 200,
    params: Ref,
    answer: Image,
  },
} as const satisfies Record<string, Endpoint>
