import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { S3Error } from '../../model/s3-error.ts'
import { sendAnswer } from './answer.ts'
import { soonOrLate } from './late-answer.ts'
import type { S3Answer } from './operation.ts'
import { leaf, resultXml } from './xml.ts'

const XML = resultXml('CopyObjectResult', [leaf('ETag', '"e"')])

/** What a server sends that gives this answer; `seen` is called with all that came so far. */
async function exchange(answer: S3Answer, seen: (text: string) => void): Promise<string> {
  const server = createServer((request, response) => {
    const parts = { requestId: 'R', hostId: 'H', awaitsContinue: () => false, received: () => 0, headers: {} }
    sendAnswer({ request, response, ...parts }, answer).catch(() => response.socket?.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await new Promise<string>((resolve, reject) => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
      let text = ''
      socket.on('data', (bytes) => {
        text += bytes
        seen(text)
      })
      socket.on('error', reject)
      socket.on('close', () => resolve(text))
      socket.write('PUT /b/k HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    })
  } finally {
    server.close()
  }
}

const unchunked = (text: string) =>
  text
    .slice(text.indexOf('\r\n\r\n') + 4)
    .replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, '')
    .trim()

test('what is soon done is a plain answer, and what fails soon a plain error', async () => {
  const answer = { headers: { 'x-amz-version-id': 'v' }, xml: XML }
  assert.deepEqual(await soonOrLate(Promise.resolve(answer)), answer)
  await assert.rejects(soonOrLate(Promise.reject(new S3Error('NoSuchKey'))), /key does not exist/)
})

test('what takes long begins with 200 and the declaration, and ends with the document', async () => {
  const work = Promise.withResolvers<{ xml: string }>()
  const answer = await soonOrLate(work.promise, 0)
  const text = await exchange(answer, (soFar) => {
    if (soFar.includes('<?xml')) work.resolve({ xml: XML })
  })
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  assert.equal(unchunked(text).replace(/\s*(?=<Copy)/, '\n'), XML)
})

test('or with an error in its place', async () => {
  const work = Promise.withResolvers<{ xml: string }>()
  const answer = await soonOrLate(work.promise, 0)
  const text = await exchange(answer, (soFar) => {
    if (soFar.includes('<?xml')) work.reject(new S3Error('NoSuchKey'))
  })
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(
    unchunked(text),
    /^<\?xml [^>]*>\s*<Error><Code>NoSuchKey<\/Code>.*<Resource>\/b\/k<\/Resource>.*<\/Error>$/s,
  )
})
