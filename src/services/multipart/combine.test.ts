import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createDigester } from '../../lib/hashing/digests.ts'
import { combinedChecksum, combinedEtag } from './combine.ts'

const pieces = [100_000, 1, 0, 5_242_880, 77].map((bytes) => randomBytes(bytes))
const whole = Buffer.concat(pieces)

test('the checksum of all bytes follows from those of the parts', () => {
  for (const [algorithm, name] of [
    ['CRC32', 'crc32'],
    ['CRC32C', 'crc32c'],
    ['CRC64NVME', 'crc64nvme'],
  ] as const) {
    const digest = (bytes: Buffer) => {
      const digester = createDigester([name])
      digester.update(bytes)
      return digester.digest()[name]
    }
    const parts = pieces.map((piece) => ({ checksum: digest(piece), sizeBytes: piece.length }))
    const combined = combinedChecksum(algorithm, 'FULL_OBJECT', parts)
    assert.deepEqual(combined, { algorithm, type: 'FULL_OBJECT', value: digest(whole).toString('base64') })
  }
})

test('a composite checksum is that of the checksums, and says how many', () => {
  const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
  const parts = pieces.map((piece) => ({ checksum: sha(piece), sizeBytes: piece.length }))
  const { value } = combinedChecksum('SHA256', 'COMPOSITE', parts)
  assert.equal(value, `${sha(Buffer.concat(pieces.map(sha))).toString('base64')}-${pieces.length}`)
})

test('so is the ETag', () => {
  // The MD5 of the two MD5s of `a` and `b`.
  const md5 = (text: string) => createHash('md5').update(text).digest()
  assert.equal(combinedEtag([md5('a'), md5('b')]), '96e024ba2074fe77e8e965ba43a704be-2')
})
