/** The S3 server's front: who is let in, and in which words the others are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ListBucketsCommand, S3Client, type S3ServiceException } from '@aws-sdk/client-s3'
import { type Cloud, startCloud } from '../cloud.ts'

const client = ({ s3Url, credentials }: Cloud, more: { region?: string; secret?: string; id?: string } = {}) =>
  new S3Client({
    endpoint: s3Url,
    region: more.region ?? 'eu-north-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: {
      accessKeyId: more.id ?? credentials.s3AccessKeyId,
      secretAccessKey: more.secret ?? credentials.s3SecretAccessKey,
    },
  })

test('the SDK lists buckets; strangers are refused in the words of S3', async (t) => {
  const cloud = await startCloud(t, { withoutWorker: true })
  const answer = await client(cloud).send(new ListBucketsCommand({}))
  assert.deepEqual(answer.Buckets ?? [], [])
  assert.match(answer.Owner?.ID ?? '', /^[0-9a-f]{64}$/)
  assert.match(answer.$metadata.requestId ?? '', /^[0-9A-F]{16}$/)

  const refusals: [Parameters<typeof client>[1], string, number][] = [
    [{ secret: 'wrong' }, 'SignatureDoesNotMatch', 403],
    [{ id: 'HAVN0000000000000000' }, 'InvalidAccessKeyId', 403],
  ]
  for (const [more, code, status] of refusals) {
    await assert.rejects(client(cloud, more).send(new ListBucketsCommand({})), (error: S3ServiceException) => {
      assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, status])
      return true
    })
  }
  const anonymous = await fetch(`${cloud.s3Url}/`)
  assert.equal(anonymous.status, 403)
  assert.match(await anonymous.text(), /<Code>AccessDenied<\/Code>/)
  assert.ok(cloud.s3Log.some((line) => JSON.parse(line).errorCode === 'InvalidAccessKeyId'))
})
