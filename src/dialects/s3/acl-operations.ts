/** ACLs of buckets and objects: read as XML; written as XML, as a canned name or as grant headers. */
import { type AclWish, privateAcl } from '../../model/acl.ts'
import { canonicalIdOf } from '../../model/canonical-id.ts'
import type { AccountId } from '../../model/ids.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as bucketSettings from '../../services/buckets/settings.ts'
import * as objectSettings from '../../services/object-settings.ts'
import type { S3Ctx } from '../../services/s3-ctx.ts'
import { aclOfHeaders, parseAcl, presentAcl } from './acl.ts'
import type { BucketOperation, ObjectOperation, ServiceCall } from './operation.ts'
import { objectRef, versionHeader } from './version.ts'
import { group, leaf, type Xml } from './xml.ts'

export const aclOperations: readonly (BucketOperation | ObjectOperation)[] = [
  {
    name: 'GetBucketAcl',
    on: 'bucket',
    method: 'GET',
    query: ['acl'],
    action: 's3:GetBucketAcl',
    async run({ ctx, bucket: { accountId, settings } }) {
      const acl = settings.ownership === 'BucketOwnerEnforced' ? undefined : settings.acl
      return { xml: presentAcl(owner(ctx, accountId), acl ?? privateAcl(accountId)) }
    },
  },
  {
    name: 'PutBucketAcl',
    on: 'bucket',
    method: 'PUT',
    query: ['acl'],
    action: 's3:PutBucketAcl',
    body: 'document',
    async run(call) {
      await bucketSettings.putAcl(call.ctx, call.bucket, await readWish(call))
      return { status: 200 }
    },
  },
  {
    name: 'GetObjectAcl',
    on: 'object',
    method: 'GET',
    query: ['acl'],
    action: 'itself',
    async run(call) {
      const { ctx, bucket } = call
      const ref = objectRef(call)
      const action = ref.versionId === undefined ? 's3:GetObjectAcl' : 's3:GetObjectVersionAcl'
      const version = await objectSettings.get(ctx, ref, action)
      const isEnforced = bucket.settings.ownership === 'BucketOwnerEnforced'
      const ownerId = isEnforced ? bucket.accountId : version.accountId
      const acl = (isEnforced ? null : version.acl) ?? privateAcl(ownerId)
      return { xml: presentAcl(owner(ctx, ownerId), acl), headers: versionHeader(bucket, version.versionId) }
    },
  },
  {
    name: 'PutObjectAcl',
    on: 'object',
    method: 'PUT',
    query: ['acl'],
    action: 'itself',
    body: 'document',
    async run(call) {
      const { ctx, bucket } = call
      const ref = objectRef(call)
      const action = ref.versionId === undefined ? 's3:PutObjectAcl' : 's3:PutObjectVersionAcl'
      // Who may not write it is not asked for its body.
      await objectSettings.get(ctx, ref, action)
      const versionId = await objectSettings.putAcl(ctx, ref, await readWish(call), action)
      return { status: 200, headers: versionHeader(bucket, versionId) }
    },
  },
]

export const owner = ({ caller }: S3Ctx, accountId: AccountId): Xml =>
  group('Owner', [
    leaf('ID', canonicalIdOf(accountId)),
    // Nobody learns the name of another.
    leaf('DisplayName', caller?.accountId === accountId ? caller.displayName : null),
  ])

async function readWish(call: ServiceCall): Promise<AclWish> {
  const fromHeaders = aclOfHeaders((name) => call.header(name))
  const document = await call.document()
  if (document.length === 0) {
    if (fromHeaders) return fromHeaders
    throw new S3Error('MissingSecurityHeader', 'Your request was missing a required header', {
      elements: { MissingHeaderName: 'x-amz-acl' },
    })
  }
  if (fromHeaders) throw new S3Error('UnexpectedContent')
  return parseAcl(document)
}
