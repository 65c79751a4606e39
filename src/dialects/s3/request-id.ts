/** Ids of requests: 16 hex digits, random. Drawn by the hundred, because each draw is a call into the system. */
import { randomFillSync } from 'node:crypto'

const ID_BYTES = 8
const pool = Buffer.alloc(ID_BYTES * 512)
let at = pool.length

export function newRequestId(): string {
  if (at === pool.length) {
    randomFillSync(pool)
    at = 0
  }
  at += ID_BYTES
  return pool.toString('hex', at - ID_BYTES, at).toUpperCase()
}
