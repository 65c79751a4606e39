/** From an ACL that a client asks for to one that is kept: whom it names must exist, and the bucket must allow it. */
import { type Acl, type AclWish, aclOfCanned, type Grant, isPublicAcl, type WishedGrant } from '../../model/acl.ts'
import type { BucketSettings } from '../../model/bucket.ts'
import { accountOfCanonicalId, canonicalIdOf } from '../../model/canonical-id.ts'
import type { AccountId } from '../../model/ids.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as accounts from '../../store/accounts.ts'
import type { Db } from '../../store/db.ts'

export interface AclOwners {
  /** Of the bucket or the object the list is for. */
  ownerId: AccountId
  bucketOwnerId: AccountId
}

/**
 * Null = private. Throws AccessControlListNotSupported, AccessDenied (it is public where that is blocked, or names
 * another owner), InvalidArgument, UnresolvableGrantByEmailAddress.
 */
export async function resolveAcl(
  db: Db,
  settings: Pick<BucketSettings, 'ownership' | 'publicAccessBlock'>,
  owners: AclOwners,
  wish: AclWish,
): Promise<Acl | null> {
  const acl = await aclOf(db, owners, wish)
  if (settings.ownership === 'BucketOwnerEnforced' && !isOwnersOnly(acl, owners, wish)) {
    throw new S3Error('AccessControlListNotSupported')
  }
  if (settings.publicAccessBlock?.blockPublicAcls && isPublicAcl(acl)) throw new S3Error('AccessDenied')
  return settings.ownership === 'BucketOwnerEnforced' ? null : acl
}

async function aclOf(db: Db, { ownerId, bucketOwnerId }: AclOwners, wish: AclWish): Promise<Acl | null> {
  if ('canned' in wish) return aclOfCanned(wish.canned, ownerId, bucketOwnerId)
  if (wish.ownerId !== null && wish.ownerId !== canonicalIdOf(ownerId)) throw new S3Error('AccessDenied')
  const grants: Grant[] = []
  for (const { grantee, permission } of wish.grants) {
    grants.push({ grantee: await granteeOf(db, grantee), permission })
  }
  return { grants }
}

/** All that can be asked for where ACLs are off: that everything is the bucket owner's. */
function isOwnersOnly(acl: Acl | null, { bucketOwnerId }: AclOwners, wish: AclWish): boolean {
  if ('canned' in wish) return wish.canned === 'bucket-owner-full-control'
  const owner = canonicalIdOf(bucketOwnerId)
  return (acl?.grants ?? []).every(
    ({ grantee, permission }) =>
      permission === 'FULL_CONTROL' && grantee.kind === 'account' && grantee.canonicalId === owner,
  )
}

async function granteeOf(db: Db, grantee: WishedGrant['grantee']): Promise<Grant['grantee']> {
  if (grantee.kind === 'email') {
    const account = grantee.email.includes('@') ? await accounts.find(db, grantee.email) : undefined
    if (!account) throw new S3Error('UnresolvableGrantByEmailAddress')
    return { kind: 'account', canonicalId: canonicalIdOf(account.id) }
  }
  if (grantee.kind === 'account') {
    const id = accountOfCanonicalId(grantee.canonicalId)
    if (id === null || !(await accounts.find(db, id))) {
      throw new S3Error('InvalidArgument', 'Invalid id', {
        elements: { ArgumentName: 'CanonicalUser/ID', ArgumentValue: grantee.canonicalId },
      })
    }
  }
  return grantee
}
