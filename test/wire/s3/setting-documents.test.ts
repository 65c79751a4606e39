/** Documents of settings as no SDK sends them, and whose bucket a client thinks it sets. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { signHeaders } from '../../../src/lib/sigv4-sign.ts'
import { canonicalIdOf } from '../../../src/model/canonical-id.ts'
import { newId } from '../../../src/model/ids.ts'
import * as accounts from '../../../src/store/accounts.ts'
import * as buckets from '../../../src/store/buckets.ts'
import { settingsSuite } from './settings.ts'

const { bucket, cloud } = settingsSuite()

test('documents that are none are refused, each in its own words', async () => {
  const Bucket = await bucket()
  const { host } = new URL(cloud().s3Url)
  const keys = {
    accessKeyId: cloud().credentials.s3AccessKeyId,
    secretAccessKey: cloud().credentials.s3SecretAccessKey,
    region: 'eu-north-1',
  }
  const put = async (query: string, body: string, headers: Record<string, string> = {}) => {
    const digest = createHash('sha256').update(body).digest('hex')
    const unsigned = { method: 'PUT', host, path: `/${Bucket}`, query: [[query, '']] as const, headers }
    const { host: _, ...sent } = signHeaders(unsigned, digest, keys)
    const answer = await fetch(`${cloud().s3Url}/${Bucket}?${query}`, { method: 'PUT', headers: sent, body })
    return /<Code>(\w+)<\/Code>/.exec(await answer.text())?.[1] ?? answer.status
  }
  const subresources: Record<string, string> = {
    acl: 'AccessControlPolicy',
    cors: 'CORSConfiguration',
    encryption: 'ServerSideEncryptionConfiguration',
    lifecycle: 'LifecycleConfiguration',
    'object-lock': 'ObjectLockConfiguration',
    ownershipControls: 'OwnershipControls',
    publicAccessBlock: 'PublicAccessBlockConfiguration',
    tagging: 'Tagging',
    versioning: 'VersioningConfiguration',
    website: 'WebsiteConfiguration',
  }
  for (const [query, root] of Object.entries(subresources)) {
    const code = query === 'acl' ? 'MalformedACLError' : 'MalformedXML'
    for (const body of [
      'x',
      '<x/>',
      `<${root}>`,
      `<${root}><Unheard>of</Unheard></${root}>`,
      `<!DOCTYPE a [<!ENTITY b "bb">]><${root}>&b;</${root}>`,
      `<${root}>${'<a>'.repeat(1000)}`,
    ]) {
      assert.equal(await put(query, body), code, `${query}: ${body.slice(0, 60)}`)
    }
    assert.equal(await put(query, `<${root}>${' '.repeat(1024 * 1024)}</${root}>`), 'MaxMessageLengthExceeded', query)
  }
  for (const body of ['', '{', '[]', '{}', `{"Statement":"${'x'.repeat(21 * 1024)}"}`]) {
    assert.equal(await put('policy', body), 'MalformedPolicy', body.slice(0, 60))
  }
  const found = await buckets.find(cloud().db, Bucket)
  assert.deepEqual([found?.settings, found?.revision], [{}, 1])

  const owner = await accounts.find(cloud().db, cloud().credentials.email)
  assert.ok(owner)
  const tags = '<Tagging><TagSet></TagSet></Tagging>'
  for (const id of [owner.id, canonicalIdOf(owner.id), String(owner.number), String(owner.number).padStart(12, '0')]) {
    assert.equal(await put('tagging', tags, { 'x-amz-expected-bucket-owner': id }), 204, id)
  }
  for (const id of ['', '1', newId('account'), 'a'.repeat(64)]) {
    assert.equal(await put('tagging', tags, { 'x-amz-expected-bucket-owner': id }), 'AccessDenied', id)
  }
})
