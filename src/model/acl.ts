/** Access control lists: who else may read or write a bucket or an object (S3 user guide, "ACL overview"). */
import { canonicalIdOf } from './canonical-id.ts'
import type { AccountId } from './ids.ts'

export const PERMISSIONS = ['READ', 'WRITE', 'READ_ACP', 'WRITE_ACP', 'FULL_CONTROL'] as const
export type Permission = (typeof PERMISSIONS)[number]

export type Grantee =
  /** An account by its canonical user id. */
  | { kind: 'account'; canonicalId: string }
  | { kind: 'everyone' }
  /** Whoever has any valid credential. */
  | { kind: 'authenticated' }
  /** Kept and shown for tools that set it; nobody here delivers logs. */
  | { kind: 'logDelivery' }

export interface Grant {
  grantee: Grantee
  permission: Permission
}
export interface Acl {
  /** All of them, the owner's own included. */
  grants: readonly Grant[]
}

export const CANNED_ACLS = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
  'log-delivery-write',
] as const
export type CannedAcl = (typeof CANNED_ACLS)[number]

/** An ACL as a client asks for it, before its accounts were looked up. */
export type AclWish =
  | { canned: CannedAcl }
  | { grants: readonly WishedGrant[] /** As the client believes; null when it did not say. */; ownerId: string | null }
export interface WishedGrant {
  grantee: Grantee | { kind: 'email'; email: string }
  permission: Permission
}

export const GRANTS_MAX = 100 // S3 user guide, "ACL overview"

/** What an ACL that was never set means. */
export const privateAcl = (ownerId: AccountId): Acl => ({
  grants: [{ grantee: { kind: 'account', canonicalId: canonicalIdOf(ownerId) }, permission: 'FULL_CONTROL' }],
})

/** Null = private. For a bucket's own ACL both accounts are the same, and the bucket-owner ones mean private. */
export function aclOfCanned(canned: CannedAcl, ownerId: AccountId, bucketOwnerId: AccountId): Acl | null {
  const grants = [...grantsOfCanned(canned, ownerId, bucketOwnerId)]
  return grants.length === 0 ? null : { grants: [...privateAcl(ownerId).grants, ...grants] }
}

function grantsOfCanned(canned: CannedAcl, ownerId: AccountId, bucketOwnerId: AccountId): readonly Grant[] {
  const bucketOwner: Grantee = { kind: 'account', canonicalId: canonicalIdOf(bucketOwnerId) }
  switch (canned) {
    case 'private':
      return []
    case 'public-read':
      return [{ grantee: { kind: 'everyone' }, permission: 'READ' }]
    case 'public-read-write':
      return [
        { grantee: { kind: 'everyone' }, permission: 'READ' },
        { grantee: { kind: 'everyone' }, permission: 'WRITE' },
      ]
    case 'authenticated-read':
      return [{ grantee: { kind: 'authenticated' }, permission: 'READ' }]
    case 'bucket-owner-read':
      return ownerId === bucketOwnerId ? [] : [{ grantee: bucketOwner, permission: 'READ' }]
    case 'bucket-owner-full-control':
      return ownerId === bucketOwnerId ? [] : [{ grantee: bucketOwner, permission: 'FULL_CONTROL' }]
    case 'log-delivery-write':
      return [
        { grantee: { kind: 'logDelivery' }, permission: 'WRITE' },
        { grantee: { kind: 'logDelivery' }, permission: 'READ_ACP' },
      ]
  }
}

export const isPublicAcl = (acl: Acl | null | undefined): boolean =>
  acl?.grants.some(({ grantee }) => isPublicGrantee(grantee)) ?? false

const isPublicGrantee = ({ kind }: Grantee): boolean => kind === 'everyone' || kind === 'authenticated'

/**
 * Whether the list gives `permission` to the account, or with null to whoever has no credentials. `ignoresPublic`: what
 * it gives to everyone or to all accounts does not count.
 */
export function grants(acl: Acl, permission: Permission, accountId: AccountId | null, ignoresPublic = false): boolean {
  const canonicalId = accountId && canonicalIdOf(accountId)
  const isMeant = (grantee: Grantee): boolean => {
    if (grantee.kind === 'account') return grantee.canonicalId === canonicalId
    if (grantee.kind === 'logDelivery' || ignoresPublic) return false
    return grantee.kind === 'everyone' || accountId !== null
  }
  return acl.grants.some(
    ({ grantee, permission: given }) => (given === permission || given === 'FULL_CONTROL') && isMeant(grantee),
  )
}
