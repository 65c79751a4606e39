/** Debian's `python3-boto3`; what it does stands in transfers.py. */
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { stageOfSuite } from './stage.ts'

describe('boto3', () => {
  const stage = stageOfSuite()
  const script = join(import.meta.dirname, 'transfers.py')

  test('over http', async () => {
    const { url, accessKeyId, secretAccessKey, region } = stage()
    await stage().run('/usr/bin/python3', [script, url, accessKeyId, secretAccessKey, region])
  })

  test('over https', async () => {
    const { secure, accessKeyId, secretAccessKey, region } = stage()
    await stage().run('/usr/bin/python3', [script, secure.url, accessKeyId, secretAccessKey, region, secure.caFile])
  })
})
