/** What bench/s3.ts sends: whole heads, signed beforehand, and bodies in memory that threads share. */
import { createHash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { UNSIGNED_PAYLOAD } from '../src/lib/sigv4.ts'
import { signHeaders } from '../src/lib/sigv4-sign.ts'
import { type BareClient, type Call, createBareClient } from '../test/flows/s3/client.ts'
import type { Server } from './s3-servers.ts'

export const KIB = 1024
export const MIB = 1024 * KIB

/** A request's head; with `body`, of a PUT. */
export function head(
  server: Server,
  method: string,
  path: string,
  body?: { hash: string; length: number; headers?: Record<string, string> },
): string {
  const [bare, search] = path.split('?')
  const query = [...new URLSearchParams(search)]
  const host = `${server.host}:${server.port}`
  const headers = { ...(body?.headers ?? {}), host }
  const signed = server.keys
    ? signHeaders({ method, host, path: bare!, query, headers }, body?.hash ?? UNSIGNED_PAYLOAD, server.keys)
    : headers
  const lines = Object.entries(signed).map(([name, value]) => `${name}: ${value}\r\n`)
  const length = body ? `content-length: ${body.length}\r\n` : ''
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}${length}\r\n`
}

export const plain = (body: Uint8Array) => ({ hash: UNSIGNED_PAYLOAD, length: body.length })
export const hashed = (body: Uint8Array) => ({
  hash: createHash('sha256').update(body).digest('hex'),
  length: body.length,
})

/** As newer SDKs send a stream: aws-chunked, with its CRC32 behind it. */
export function trailing(server: Server, paths: readonly string[], body: Uint8Array<SharedArrayBuffer>) {
  const chunkBytes = 64 * KIB
  const pieces: Buffer[] = []
  for (let at = 0; at < body.length; at += chunkBytes) {
    const chunk = body.subarray(at, at + chunkBytes)
    pieces.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), Buffer.from(chunk), Buffer.from('\r\n'))
  }
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  pieces.push(Buffer.from(`0\r\nx-amz-checksum-crc32:${sum.toString('base64')}\r\n\r\n`))
  const framed = Buffer.concat(pieces)
  const shared = new Uint8Array(new SharedArrayBuffer(framed.length))
  shared.set(framed)
  const headers = {
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': String(body.length),
    'x-amz-trailer': 'x-amz-checksum-crc32',
  }
  const how = { hash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', length: shared.length, headers }
  return { heads: paths.map((path) => head(server, 'PUT', path, how)), body: shared }
}

/** Bytes that compress no better than people's files, in memory that threads share. */
export function sharedBytes(length: number): Uint8Array<SharedArrayBuffer> {
  const bytes = new Uint8Array(new SharedArrayBuffer(length))
  const block = randomBytes(Math.min(length, 1 << 20))
  for (let at = 0; at < length; at += block.length) bytes.set(block.subarray(0, length - at), at)
  return bytes
}

/** For what is set up or measured once. */
export const clientOf = ({ host, port, keys }: Server): BareClient =>
  createBareClient(`http://${host}:${port}`, keys ?? { accessKeyId: 'none', secretAccessKey: 'none', region: 'none' })

export async function ask(client: BareClient, method: string, path: string, call?: Call) {
  const answer = await client.call(method, path, call)
  if (answer.status > 299) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`)
  return answer
}
