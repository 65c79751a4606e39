/** What can be set on an object, by the SDK, on each version by itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  GetObjectAclCommand,
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3'
import { refused, settingsSuite } from './settings.ts'

const { bucket, cloud, s3 } = settingsSuite()

test('tags, ACL, retention and legal hold of an object, each version its own', async () => {
  const Bucket = await bucket()
  const Key = 'a key/with ünusual'
  await s3().send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))
  await refused(s3().send(new GetObjectTaggingCommand({ Bucket, Key })), 'NoSuchKey', 404)
  const first = await s3().send(new PutObjectCommand({ Bucket, Key, Body: '1', Tagging: 'a=b%20c' }))
  await s3().send(new PutObjectCommand({ Bucket, Key, Body: '2' }))
  const tagsOf = async (VersionId?: string) =>
    (await s3().send(new GetObjectTaggingCommand({ Bucket, Key, VersionId }))).TagSet
  assert.deepEqual(await tagsOf(), [])
  assert.deepEqual(await tagsOf(first.VersionId), [{ Key: 'a', Value: 'b c' }])
  const TagSet = [{ Key: 'x', Value: 'y' }]
  await s3().send(new PutObjectTaggingCommand({ Bucket, Key, VersionId: first.VersionId, Tagging: { TagSet } }))
  assert.deepEqual(await tagsOf(first.VersionId), TagSet)
  assert.deepEqual(await tagsOf(), [])
  await s3().send(new DeleteObjectTaggingCommand({ Bucket, Key, VersionId: first.VersionId }))
  assert.deepEqual(await tagsOf(first.VersionId), [])
  const many = { TagSet: Array.from({ length: 11 }, (_, index) => ({ Key: `k${index}`, Value: '' })) }
  await refused(s3().send(new PutObjectTaggingCommand({ Bucket, Key, Tagging: many })), 'BadRequest', 400)
  await refused(s3().send(new GetObjectTaggingCommand({ Bucket, Key, VersionId: 'nonsense' })), 'InvalidArgument', 400)
  await refused(
    s3().send(new GetObjectTaggingCommand({ Bucket, Key, VersionId: '0'.repeat(32) })),
    'NoSuchVersion',
    404,
  )

  await s3().send(new PutObjectAclCommand({ Bucket, Key, ACL: 'public-read' }))
  assert.equal((await s3().send(new GetObjectAclCommand({ Bucket, Key }))).Grants?.length, 2)
  assert.equal(
    (await s3().send(new GetObjectAclCommand({ Bucket, Key, VersionId: first.VersionId }))).Grants?.length,
    1,
  )
  const url = `${cloud().s3Url}/${Bucket}/${encodeURIComponent(Key)}`
  assert.equal(await (await fetch(url)).text(), '2')
  assert.equal((await fetch(`${url}?versionId=${first.VersionId}`)).status, 403)

  const until = new Date(Date.now() + 3_600_000)
  const retain = (Mode: 'GOVERNANCE' | 'COMPLIANCE', RetainUntilDate: Date, more: object = {}) =>
    s3().send(new PutObjectRetentionCommand({ Bucket, Key, Retention: { Mode, RetainUntilDate }, ...more }))
  await refused(retain('GOVERNANCE', until), 'InvalidRequest', 400)
  const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled' as const }
  await s3().send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }))
  await refused(s3().send(new GetObjectRetentionCommand({ Bucket, Key })), 'NoSuchObjectLockConfiguration', 404)
  await retain('GOVERNANCE', until)
  assert.deepEqual((await s3().send(new GetObjectRetentionCommand({ Bucket, Key }))).Retention, {
    Mode: 'GOVERNANCE',
    RetainUntilDate: until,
  })
  await refused(retain('GOVERNANCE', new Date(0)), 'InvalidArgument', 400)
  await refused(retain('GOVERNANCE', new Date(until.getTime() - 60_000)), 'AccessDenied', 403)
  await retain('GOVERNANCE', new Date(until.getTime() - 60_000), { BypassGovernanceRetention: true })
  await retain('COMPLIANCE', until)
  await refused(
    retain('COMPLIANCE', new Date(until.getTime() - 1000), { BypassGovernanceRetention: true }),
    'AccessDenied',
    403,
  )

  const hold = (Status: 'ON' | 'OFF') =>
    s3().send(new PutObjectLegalHoldCommand({ Bucket, Key, LegalHold: { Status } }))
  assert.equal((await s3().send(new GetObjectLegalHoldCommand({ Bucket, Key }))).LegalHold?.Status, 'OFF')
  await hold('ON')
  assert.equal((await s3().send(new GetObjectLegalHoldCommand({ Bucket, Key }))).LegalHold?.Status, 'ON')
  await hold('OFF')

  const marker = await s3().send(new DeleteObjectCommand({ Bucket, Key }))
  await refused(s3().send(new GetObjectTaggingCommand({ Bucket, Key })), 'NoSuchKey', 404)
  const VersionId = marker.VersionId
  await refused(s3().send(new GetObjectTaggingCommand({ Bucket, Key, VersionId })), 'MethodNotAllowed', 405)
})
