/** Buckets and access keys as the contract has them. */
import type { AccessKey } from '../../services/access-keys.ts'
import type * as buckets from '../../services/buckets.ts'
import type * as contract from './contract-storage.ts'

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

export const presentAccessKey = (key: AccessKey): contract.AccessKey => ({
  accessKeyId: key.accessKeyId,
  name: key.name,
  readOnly: key.isReadOnly,
  buckets: key.buckets,
  lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  createdAt: key.createdAt.toISOString(),
})
