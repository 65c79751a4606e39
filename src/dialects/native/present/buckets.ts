import type * as buckets from '../../../services/buckets/buckets.ts'
import type * as contract from '../contract/buckets.ts'

type Hour = Awaited<ReturnType<typeof buckets.usage>>['hours'][number]

export const presentBucket = (bucket: buckets.BucketView): contract.Bucket => ({
  id: bucket.id,
  name: bucket.name,
  accountId: bucket.accountId,
  tier: bucket.tier,
  location: bucket.location,
  versioning: bucket.versioning,
  hasObjectLock: bucket.settings.objectLock !== undefined,
  isPublic: bucket.isPublic,
  objects: bucket.objects,
  versions: bucket.versions,
  bytes: bucket.bytes,
  uploadBytes: bucket.uploadBytes,
  createdAt: bucket.createdAt.toISOString(),
})

export const presentHour = ({ hour, ...counted }: Hour): contract.BucketUsage['hours'][number] => ({
  hour: hour.toISOString(),
  ...counted,
})
