/** What the tests of settings share: a cloud without a worker, the SDK as its owner, buckets, and how a refusal looks. */
import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { type S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import * as accounts from '../../../src/store/accounts.ts'
import * as buckets from '../../../src/store/buckets.ts'
import { type Cloud, startCloud } from '../../cloud.ts'
import { s3ClientOf } from '../../s3-client.ts'

/** One for all tests of a file. */
export function settingsSuite() {
  let cloud: Cloud
  let s3: S3Client
  let made = 0
  const ends: (() => Promise<void>)[] = []

  before(async () => {
    cloud = await startCloud({ after: (end) => void ends.push(end) }, { withoutWorker: true })
    s3 = s3ClientOf(cloud)
  })
  after(async () => {
    s3.destroy()
    for (const end of ends) await end()
  })
  return {
    cloud: () => cloud,
    s3: () => s3,
    /** A new one, and its name. */
    async bucket(): Promise<string> {
      const owner = await accounts.find(cloud.db, cloud.credentials.email)
      assert.ok(owner)
      const name = `settings-${++made}`
      await buckets.insert(
        cloud.db,
        { name, accountId: owner.id, tier: 'standard', location: 'here', versioning: 'off', settings: {} },
        false,
      )
      return name
    },
  }
}

export async function refused(work: Promise<unknown>, code: string, status: number): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof S3ServiceException, String(error))
    assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, status], error.message)
    return true
  })
}
