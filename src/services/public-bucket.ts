/** Whether a bucket is open to people without credentials, by what its owner has set. */
import type { Bucket } from '../model/bucket.ts'

export function isOpenToAll({ settings }: Bucket): boolean {
  const { acl, publicAccessBlock } = settings
  if (publicAccessBlock?.ignorePublicAcls) return false
  return acl?.grants.some(({ grantee }) => grantee.kind === 'everyone') ?? false
}
