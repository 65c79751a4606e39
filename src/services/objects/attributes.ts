/** What is known of an object besides its bytes, its parts among it. */
import type { ObjectPart, ObjectVersion } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as versions from '../../store/object-versions.ts'
import { authorize } from '../buckets/access.ts'
import { bodyKeyOf } from '../buckets/encryption.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import { findReadable, type Place } from './read.ts'

export interface Attributes {
  version: ObjectVersion
  hasVersions: boolean
  /** Null for an object that came in one piece; those asked for, in order. */
  parts: { shown: readonly ObjectPart[]; total: number; isTruncated: boolean } | null
}

export interface AttributesWish {
  customerKey: Buffer | undefined
  partsAfter: number
  partsMax: number
}

/** Throws as findReadable; whoever may not read the object may not know this either. */
export async function attributes(ctx: S3Ctx, place: Place, wish: AttributesWish): Promise<Attributes> {
  const actions = ['s3:GetObjectAttributes', 's3:GetObjectVersionAttributes'] as const
  const { version, bucket } = await findReadable(ctx, place, actions)
  const reading = place.versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion'
  authorize(ctx, { action: reading, bucket, key: place.key, version })
  bodyKeyOf(ctx, version.encryption, wish.customerKey)
  const hasVersions = bucket.versioning !== 'off'
  if (version.partCount === null) return { version, hasVersions, parts: null }
  const all = await versions.parts(ctx.db, version)
  if (!all) throw new S3Error('NoSuchKey')
  const behind = all.filter(({ number }) => number > wish.partsAfter)
  const shown = behind.slice(0, wish.partsMax)
  return { version, hasVersions, parts: { shown, total: all.length, isTruncated: behind.length > shown.length } }
}
