import type * as accessKeys from '../../../services/access-keys.ts'
import type * as contract from '../contract/access-keys.ts'

export const presentAccessKey = (key: accessKeys.AccessKey): contract.AccessKey => ({
  accessKeyId: key.accessKeyId,
  name: key.name,
  readOnly: key.isReadOnly,
  buckets: key.buckets,
  lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  createdAt: key.createdAt.toISOString(),
})
