import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { crc32 } from 'node:zlib'
import type { DigestName } from './digests.ts'
import { createHashing } from './hashing.ts'

const ALL = ['md5', 'sha1', 'sha256', 'crc32', 'crc32c', 'crc64nvme'] as const satisfies DigestName[]
const folder = mkdtempSync(join(tmpdir(), 'havn-hashing-'))
const hashing = createHashing({ threads: 2 })
after(async () => {
  await hashing.close()
  rmSync(folder, { recursive: true, force: true })
})

const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex')

for (const [where, sizeBytes] of [
  ['on the event loop', 9],
  ['in a thread', null],
] as const) {
  test(`all digests at once, ${where}`, async () => {
    const hasher = hashing.hasher(ALL, sizeBytes)
    await hasher.update(Buffer.from('1234'))
    await hasher.update(Buffer.from('56789'))
    const digests = await hasher.digest()
    assert.deepEqual(
      Object.fromEntries(Object.entries(digests).map(([name, value]) => [name, value.toString('hex')])),
      {
        md5: '25f9e794323b453885f5181f1b624d0b',
        sha1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
        sha256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
        crc32: 'cbf43926',
        crc32c: 'e3069283',
        crc64nvme: 'ae8b14860a799888',
      },
    )
  })
}

test('a buffer over shared memory is used again and again', async () => {
  const buffer = Buffer.from(new SharedArrayBuffer(64 * 1024))
  const whole = randomBytes(1_000_000)
  const hasher = hashing.hasher(['md5', 'crc32'], null)
  for (let at = 0; at < whole.length; at += buffer.length) {
    const length = whole.copy(buffer, 0, at)
    await hasher.update(buffer.subarray(0, length))
  }
  const digests = await hasher.digest()
  assert.equal(digests.md5.toString('hex'), md5(whole))
  assert.equal(digests.crc32.readUInt32BE(), crc32(whole))
})

test('many streams at once do not mix, and a discarded one leaves the others alone', async () => {
  const bodies = Array.from({ length: 20 }, () => randomBytes(300_000))
  const digests = await Promise.all(
    bodies.map(async (body, index) => {
      const hasher = hashing.hasher(['md5'], null)
      for (let at = 0; at < body.length; at += 70_000) {
        await hasher.update(body.subarray(at, at + 70_000))
        if (index % 3 === 0) hasher.discard()
        if (index % 3 === 0) return null
      }
      return (await hasher.digest()).md5.toString('hex')
    }),
  )
  assert.deepEqual(
    digests,
    bodies.map((body, index) => (index % 3 === 0 ? null : md5(body))),
  )
})

test('a thread that dies fails what it held, and the next stream gets a new one', async () => {
  const entry = join(folder, 'mortal.ts')
  writeFileSync(
    entry,
    `import { parentPort } from 'node:worker_threads'
     import '${join(import.meta.dirname, 'worker.ts')}'
     parentPort.on('message', ({ bytes }) => { if (bytes?.[0] === 0xdd) process.exit(3) })
     parentPort.on('message', ({ bytes }) => { if (bytes?.[0] === 0xee) throw new Error('ouch') })`,
  )
  const mortal = createHashing({ threads: 1, entry })
  for (const poison of [0xdd, 0xee]) {
    const victim = mortal.hasher(['md5'], null)
    const bystander = mortal.hasher(['md5'], null)
    await victim.update(Buffer.from('fine'))
    await assert.rejects(async () => {
      await victim.update(Buffer.of(poison))
      await victim.update(Buffer.from('more'))
    }, /a hashing thread/)
    await assert.rejects(bystander.digest(), /a hashing thread/)
    victim.discard()
    const next = mortal.hasher(['md5'], null)
    await next.update(Buffer.from('fine'))
    assert.equal((await next.digest()).md5.toString('hex'), md5(Buffer.from('fine')))
  }
  await mortal.close()
})

test('closing fails what is under way', async () => {
  const closing = createHashing({ threads: 1 })
  const hasher = closing.hasher(['md5'], null)
  const late = assert.rejects(async () => hasher.update(Buffer.alloc(1000)), /a hashing thread/)
  await closing.close()
  await late
  await assert.rejects(hasher.digest(), /a hashing thread/)
})

test('threads never keep a process alive', () => {
  const program = `import { createHashing } from '${join(import.meta.dirname, 'hashing.ts')}'
    const hasher = createHashing().hasher(['md5'], null)
    await hasher.update(Buffer.from('left open'))
    console.log('done')`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { timeout: 30_000 })
  assert.equal(String(output), 'done\n')
})
