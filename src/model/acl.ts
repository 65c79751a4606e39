/** Access control lists: who else may read or write a bucket or an object (S3 user guide, "ACL overview"). */
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
  grants: readonly Grant[]
}
