/** What a bucket throws away by itself (S3 API, "PutBucketLifecycleConfiguration"). */
export const LIFECYCLE_RULES_MAX = 1000 // S3 API, "PutBucketLifecycleConfiguration"

export interface LifecycleRule {
  id: string
  isEnabled: boolean
  filter: {
    prefix?: string
    tags?: Readonly<Record<string, string>>
    sizeGreaterThanBytes?: number
    sizeLessThanBytes?: number
  }
  /** The rule came with the old top-level Prefix, and is shown so. */
  hasOldPrefix?: boolean
  expiration?: { days: number } | { date: string } | { expiredObjectDeleteMarker: true }
  noncurrentExpiration?: { days: number; newerNoncurrentVersions?: number }
  abortIncompleteUploadDays?: number
}
