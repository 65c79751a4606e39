/** A bucket: its name, its versioning, and what its owner has set. */
import type { Acl } from './acl.ts'
import type { CorsRule } from './cors.ts'
import type { AccountId, BucketId } from './ids.ts'
import type { LifecycleRule } from './lifecycle.ts'
import type { DefaultRetention } from './object-lock.ts'
import type { PublicAccessBlock } from './public-access.ts'
import type { Website } from './website.ts'

/** `off` = never switched on: there is one version of a key, and its id is `null`. */
export type Versioning = 'off' | 'enabled' | 'suspended'
export const STORAGE_TIERS = ['standard', 'enterprise'] as const
export type StorageTier = (typeof STORAGE_TIERS)[number]
export const DEFAULT_TIER: StorageTier = 'standard'

export interface Bucket {
  id: BucketId
  /** What rows of objects point at: shorter than the id, millions of times. */
  number: number
  name: string
  accountId: AccountId
  tier: StorageTier
  /** The product's name of the place, for example `no-oslo-1`; not what clients sign with. */
  location: string
  versioning: Versioning
  settings: BucketSettings
  /** Counts every change of the row: whoever remembers a bucket compares it before acting on the memory. */
  revision: number
  /** Its account is: nobody gets anything out of it, or into it. */
  isSuspended: boolean
  createdAt: Date
}

/** Each absent = never set, or deleted. */
export interface BucketSettings {
  /** Absent = private. */
  acl?: Acl
  /** JSON as its author wrote it; parsed by model/bucket-policy.ts. */
  policy?: string
  cors?: readonly CorsRule[]
  lifecycle?: readonly LifecycleRule[]
  website?: Website
  tags?: Readonly<Record<string, string>>
  publicAccessBlock?: PublicAccessBlock
  ownership?: 'BucketOwnerEnforced' | 'BucketOwnerPreferred' | 'ObjectWriter'
  /** Default encryption of new objects. */
  encryption?: { algorithm: 'AES256'; bucketKeyEnabled?: boolean }
  /** Present = the bucket has object lock; it never goes again. */
  objectLock?: { defaultRetention?: DefaultRetention }
}

/** S3 user guide, "General purpose bucket naming rules". */
export function isBucketName(name: string): boolean {
  return (
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
    !/\.\.|\.-|-\./.test(name) &&
    !/^\d+\.\d+\.\d+\.\d+$/.test(name) &&
    !/^(?:xn--|sthree-|amzn-s3-demo-)/.test(name) &&
    !/(?:-s3alias|--ol-s3)$/.test(name)
  )
}
