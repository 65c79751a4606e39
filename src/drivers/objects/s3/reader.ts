/** Reads a range of a key. A connection that breaks in between is replaced: the bytes of a blob never change. */
import type { IncomingMessage } from 'node:http'
import { BlobDamaged, type BlobId, BlobMissing, type BlobReader } from '../objects.ts'
import { ANSWER_MS, type Client } from './client.ts'
import { asCloudError, ClusterRefusal } from './failure.ts'

/** In a row, without a byte in between. */
const BREAKS_MAX = 3

export async function openReader(
  client: Client,
  key: string,
  id: BlobId,
  start: number,
  length: number,
): Promise<BlobReader> {
  const end = start + length
  let position = start
  let rest: Buffer = Buffer.alloc(0)
  let isClosed = false
  let source = await openAt(client, key, id, position, end)

  async function nextPiece(): Promise<Buffer> {
    for (let breaks = 0; ; breaks++) {
      try {
        source ??= await openAt(client, key, id, position, end)
        const piece = source && (await pieceOf(source))
        if (piece) return piece
        throw new Error('the answer ended early')
      } catch (error) {
        source?.destroy()
        source = null
        if (isClosed || error instanceof BlobDamaged || breaks >= BREAKS_MAX) throw asDamageOrOutage(error)
      }
    }
  }

  return {
    async read(into) {
      const wanted = Math.min(into.length, end - position)
      for (let filled = 0; filled < wanted; ) {
        if (rest.length === 0) rest = await nextPiece()
        const taken = rest.copy(into, filled, 0, wanted - filled)
        rest = rest.subarray(taken)
        filled += taken
        position += taken
      }
      return wanted
    },
    async close() {
      isClosed = true
      source?.destroy()
    },
  }
}

/** Null for an empty range, of which only the place is checked. */
async function openAt(
  client: Client,
  key: string,
  id: BlobId,
  position: number,
  end: number,
): Promise<IncomingMessage | null> {
  try {
    if (position === end) {
      const { headers } = await client.ask({ method: 'HEAD', key })
      if (Number(headers['content-length']) < end) throw new BlobDamaged(id, `has fewer than ${end} bytes`)
      return null
    }
    const range = `bytes=${position}-${end - 1}`
    const answer = await client.open({ method: 'GET', key, headers: { range } })
    const isWhole = answer.statusCode === 200 && position === 0
    const isRange = answer.headers['content-range']?.startsWith(`bytes ${position}-${end - 1}/`)
    if (Number(answer.headers['content-length']) === end - position && (isWhole || isRange)) {
      answer.on('error', () => {}) // whoever waits for bytes hears of it
      return answer
    }
    answer.destroy()
    throw new BlobDamaged(id, `lacks bytes: asked for ${range}, got ${answer.headers['content-range']}`)
  } catch (error) {
    if (!(error instanceof ClusterRefusal)) throw asDamageOrOutage(error)
    if (error.status === 416) throw new BlobDamaged(id, `has fewer than ${end} bytes`, error)
    // HEAD tells no code.
    if (error.status === 404 && error.code !== 'NoSuchBucket') throw new BlobMissing(id, error)
    throw asCloudError(error)
  }
}

const asDamageOrOutage = (error: unknown) => (error instanceof BlobDamaged ? error : asCloudError(error))

/** The next bytes of the stream; null at its end. */
function pieceOf(source: IncomingMessage): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => source.destroy(new Error('the cluster sends no bytes')), ANSWER_MS)
    const settle = (error: Error | null, piece: Buffer | null) => {
      clearTimeout(late)
      source.off('readable', look).off('end', look).off('error', failed).off('close', closed)
      if (error) reject(error)
      else resolve(piece)
    }
    const look = () => {
      const piece = source.read() as Buffer | null
      if (piece || source.readableEnded) settle(null, piece)
    }
    const failed = (error: Error) => settle(error, null)
    const closed = () => settle(new Error('the connection closed'), null)
    source.on('readable', look).on('end', look).on('error', failed).on('close', closed)
    if (source.destroyed && !source.readableLength) closed()
    else look()
  })
}
