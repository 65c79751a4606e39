/** The s3 driver keeps its blobs in another Havn: whatever a cluster must do for us, our own server does. */
import assert from 'node:assert/strict'
import { CreateBucketCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { objectsContract } from '../../../src/drivers/objects/contract.ts'
import { createS3Objects } from '../../../src/drivers/objects/s3.ts'
import { startCloud } from '../../cloud.ts'
import { ownerKeys, s3ClientOf } from '../../s3-client.ts'

const REGION = 'eu-north-1'

objectsContract('s3, on another Havn', async () => {
  const cleanups: (() => Promise<void>)[] = []
  const cloud = await startCloud({ after: (fn) => void cleanups.push(fn) }, { withoutWorker: true })
  const client = s3ClientOf(cloud)
  await client.send(new CreateBucketCommand({ Bucket: 'blobs' }))
  const openOne = async () => {
    const driver = createS3Objects({
      endpoint: cloud.s3Url,
      region: REGION,
      bucket: 'blobs',
      prefix: 'havn/',
      ...ownerKeys(cloud),
    })
    await driver.open()
    return driver
  }
  const first = await openOne()
  assert.deepEqual(first.abilities, { conditionalWrites: true, checksums: true, listsUploads: true })
  return {
    driver: first,
    another: openOne,
    async close() {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'blobs' }))
      client.destroy()
      await first.close()
      for (const cleanup of cleanups.reverse()) await cleanup()
      assert.deepEqual(Uploads, [])
    },
  }
})
