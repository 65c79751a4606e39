/** Lifecycle rules from the client that sets them to the worker that applies them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { startCloud } from '../cloud.ts'
import { s3ClientOf } from '../s3-client.ts'

const DAY_MS = 86_400_000

test('what a rule lets expire is announced, then hidden, then gone', async (t) => {
  const cloud = await startCloud(t)
  const s3 = s3ClientOf(cloud)
  t.after(() => s3.destroy())
  const Bucket = 'expiring'
  await s3.send(new CreateBucketCommand({ Bucket }))
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))
  const rest = { Status: 'Enabled' as const, Filter: { Prefix: 'tmp/' } }
  const Rules = [
    { ...rest, ID: 'hide', Expiration: { Days: 1 } },
    { ...rest, ID: 'remove', NoncurrentVersionExpiration: { NoncurrentDays: 1 } },
    { ...rest, ID: 'clean', Expiration: { ExpiredObjectDeleteMarker: true } },
    { ...rest, ID: 'abort', AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } },
  ]
  await s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }))
  const put = await s3.send(new PutObjectCommand({ Bucket, Key: 'tmp/a', Body: 'x'.repeat(100_000) }))
  assert.match(put.Expiration ?? '', /^expiry-date=".* 00:00:00 GMT", rule-id="hide"$/)
  await s3.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: 'x' }))
  await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: 'tmp/upload' }))
  const head = (Key: string) => s3.send(new HeadObjectCommand({ Bucket, Key }))
  assert.equal((await head('tmp/a')).Expiration, put.Expiration)
  assert.equal((await head('kept')).Expiration, undefined)

  const pass = async () => {
    await cloud.advance(2 * DAY_MS)
    await cloud.worker.reconcilers.runNow('expire-objects')
    const { Versions = [], DeleteMarkers = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket }))
    const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket }))
    return [Versions.map(({ Key }) => Key), DeleteMarkers.map(({ Key }) => Key), Uploads.map(({ Key }) => Key)]
  }
  assert.deepEqual(await pass(), [['kept', 'tmp/a'], ['tmp/a'], []])
  assert.deepEqual(await pass(), [['kept'], ['tmp/a'], []])
  assert.deepEqual(await pass(), [['kept'], [], []])
})
