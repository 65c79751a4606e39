/** All that can be set on a bucket or on an object that is there. */
import { aclOperations } from './acl-operations.ts'
import { corsOperations } from './cors.ts'
import { lifecycleOperations } from './lifecycle.ts'
import { objectLockOperations } from './object-lock.ts'
import type { Operation } from './operation.ts'
import { policyOperations } from './policy.ts'
import { publicAccessOperations } from './public-access.ts'
import { otherOperations } from './stubs.ts'
import { taggingOperations } from './tagging.ts'
import { versioningOperations } from './versioning.ts'
import { websiteOperations } from './website-configuration.ts'

export const settingsOperations: readonly Operation[] = [
  ...policyOperations,
  ...aclOperations,
  ...corsOperations,
  ...taggingOperations,
  ...lifecycleOperations,
  ...publicAccessOperations,
  ...versioningOperations,
  ...objectLockOperations,
  ...websiteOperations,
  ...otherOperations,
]
