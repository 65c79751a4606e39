/** The samples of the vendor's S3 guide, line by line, with our endpoint and keys in the place of theirs. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CreateBucketCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { stageOfSuite } from './stage.ts'

const BUCKET = 'your-bucket'

describe('samples of the S3 guide', () => {
  const stage = stageOfSuite()

  test('JavaScript', async () => {
    const s3 = new S3Client({
      endpoint: stage().url,
      region: 'eu-north-1',
      credentials: { accessKeyId: stage().accessKeyId, secretAccessKey: stage().secretAccessKey },
    })
    await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
    const response = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET }))
    assert.equal(response.KeyCount, 0)
  })

  test('Python', async () => {
    await stage().file('local.txt', 'from Python')
    const sample = `
import boto3

s3 = boto3.client('s3',
    endpoint_url='${stage().url}',
    aws_access_key_id='${stage().accessKeyId}',
    aws_secret_access_key='${stage().secretAccessKey}',
    region_name='eu-north-1'
)

# Upload file
s3.upload_file('local.txt', 'your-bucket', 'remote.txt')

# List objects
response = s3.list_objects_v2(Bucket='your-bucket')
for obj in response.get('Contents', []):
    print(obj['Key'])

# Download file
s3.download_file('your-bucket', 'remote.txt', 'downloaded.txt')
`
    assert.equal(await stage().run('/usr/bin/python3', ['-c', sample]), 'remote.txt\n')
    assert.equal((await stage().read('downloaded.txt')).toString(), 'from Python')
  })

  test('AWS CLI', async () => {
    // The guide's first line; no released CLI reads that setting without a plugin, so the flag says it as well.
    const aws = (...args: string[]) =>
      stage().run('/usr/bin/aws', args, {
        AWS_ACCESS_KEY_ID: stage().accessKeyId,
        AWS_SECRET_ACCESS_KEY: stage().secretAccessKey,
      })
    await aws('configure', 'set', 'default.s3.endpoint_url', stage().url)
    const at = ['--endpoint-url', stage().url, '--region', 'eu-north-1']
    await stage().file('local.txt', 'from the CLI')
    assert.match(await aws('s3', 'ls', ...at), / your-bucket\n/)
    await aws('s3', 'cp', 'local.txt', 's3://your-bucket/remote.txt', ...at)
    await aws('s3', 'cp', 's3://your-bucket/remote.txt', 'from-cli.txt', ...at)
    assert.equal((await stage().read('from-cli.txt')).toString(), 'from the CLI')
  })
})
