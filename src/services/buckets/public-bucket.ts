/** Whether a bucket is open to people who are not named, by what its owner has set. */
import { isPublicAcl } from '../../model/acl.ts'
import type { Bucket } from '../../model/bucket.ts'
import { parsePolicy } from '../../model/bucket-policy.ts'
import { isPublic } from '../../model/bucket-policy-public.ts'

export function isOpenToAll({ name, settings: { acl, policy, publicAccessBlock: block, ownership } }: Bucket): boolean {
  const hasAcls = ownership !== 'BucketOwnerEnforced' && block?.ignorePublicAcls !== true
  if (hasAcls && isPublicAcl(acl)) return true
  if (policy === undefined || block?.restrictPublicBuckets) return false
  return isPublic(parsePolicy(policy, name))
}
