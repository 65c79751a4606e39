/** The second part of a connection: requests and their replies, in any order (proto.md, "Transmission"). */
import { type Talk, take } from './conversation.ts'
import { NbdError } from './error.ts'

/** `flags` in the words of its context: of `base:allocation` 1 = hole, 2 = zeros; of a dirty bitmap 1 = dirty. */
export interface NbdExtent {
  length: number
  flags: number
}

export interface Pending {
  offset: number
  length: number
  /** Null for a question about extents. */
  into: Buffer | null
  received: number
  extents: Map<string, NbdExtent[]>
  error: NbdError | null
  done(extents: Map<string, NbdExtent[]>): void
  fail(error: NbdError): void
}

const REQUEST_MAGIC = 0x25609513
const SIMPLE_MAGIC = 0x67446698
const STRUCTURED_MAGIC = 0x668e33ef
const COMMAND = { read: 0, disconnect: 2, blockStatus: 7 }
const CHUNK = { none: 0, data: 1, hole: 2, blockStatus: 5, error: 0x8001, errorAt: 0x8002 }
const DONE = 1
const ERROR_MAX_BYTES = 6 + 4096 + 8
/** No server tells of more extents at once; QEMU stops at 2^17 - 1. */
const STATUS_MAX_BYTES = 4 + 8 * 2 ** 17

export const readRequest = (cookie: bigint, offset: number, length: number): Buffer =>
  request(COMMAND.read, cookie, offset, length)
export const blockStatusRequest = (cookie: bigint, offset: number, length: number): Buffer =>
  request(COMMAND.blockStatus, cookie, offset, length)

function request(command: number, cookie: bigint, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(28)
  bytes.writeUInt32BE(REQUEST_MAGIC)
  bytes.writeUInt16BE(command, 6)
  bytes.writeBigUInt64BE(cookie, 8)
  bytes.writeBigUInt64BE(BigInt(offset), 16)
  bytes.writeUInt32BE(length, 24)
  return bytes
}
export const DISCONNECT = request(COMMAND.disconnect, 0n, 0, 0)

/** Goes on until the connection ends. A throw means that the server cannot be understood any more. */
export function* replies(pending: Map<bigint, Pending>, contexts: ReadonlyMap<number, string>): Talk<void> {
  for (;;) {
    const head = yield* take(16)
    const magic = head.readUInt32BE(0)
    const cookie = head.readBigUInt64BE(8)
    const asked = pending.get(cookie)
    if (!asked) throw new Error('it answers a request that was never made')
    if (magic === SIMPLE_MAGIC) {
      // Only to refuse: what succeeds must be structured once that was agreed on.
      const error = head.readUInt32BE(4)
      if (error === 0) throw new Error('it answers without structure')
      asked.error ??= refusal(error, '')
      settle(pending, cookie, asked)
      continue
    }
    if (magic !== STRUCTURED_MAGIC) throw new Error('its reply does not begin like one')
    const length = (yield* take(4)).readUInt32BE(0)
    yield* chunk(asked, head.readUInt16BE(6), length, contexts)
    if (head.readUInt16BE(4) & DONE) settle(pending, cookie, asked)
  }
}

function settle(pending: Map<bigint, Pending>, cookie: bigint, asked: Pending): void {
  const { error, into, length, received, extents } = asked
  if (!error && into && received !== length) throw new Error(`it sent ${received} of ${length} bytes`)
  if (!error && !into && extents.size === 0) throw new Error('it told of no extents')
  pending.delete(cookie)
  if (error) asked.fail(error)
  else asked.done(extents)
}

function* chunk(asked: Pending, type: number, length: number, contexts: ReadonlyMap<number, string>): Talk<void> {
  switch (type) {
    case CHUNK.none:
      if (length !== 0) throw new Error('it says nothing, at length')
      return
    case CHUNK.data: {
      if (length <= 8) throw new Error('it sends no data')
      const at = Number((yield* take(8)).readBigUInt64BE(0))
      yield within(asked, at, length - 8)
      return
    }
    case CHUNK.hole: {
      if (length !== 12) throw new Error('it tells of a hole without its length')
      const hole = yield* take(12)
      within(asked, Number(hole.readBigUInt64BE(0)), hole.readUInt32BE(8)).fill(0)
      return
    }
    case CHUNK.blockStatus:
      if (asked.into || length < 12 || length > STATUS_MAX_BYTES || length % 8 !== 4) {
        throw new Error(`it tells of extents in ${length} bytes`)
      }
      noteExtents(asked, yield* take(length), contexts)
      return
    default:
      yield* error(asked, type, length)
  }
}

/** Where the data of a read belong: never outside of it, and never more than it asked for. */
function within(asked: Pending, at: number, length: number): Buffer {
  const start = at - asked.offset
  if (!asked.into || start < 0 || length === 0 || asked.received + length > asked.length) {
    throw new Error('it sends what was not asked for')
  }
  if (start + length > asked.length) throw new Error('it sends more than was asked for')
  asked.received += length
  return asked.into.subarray(start, start + length)
}

function noteExtents(asked: Pending, told: Buffer, contexts: ReadonlyMap<number, string>): void {
  const name = contexts.get(told.readUInt32BE(0))
  if (name === undefined || asked.extents.has(name)) throw new Error('it tells of a context that was not asked for')
  const extents: NbdExtent[] = []
  let left = asked.length
  for (let at = 4; at < told.length && left > 0; at += 8) {
    const length = Math.min(told.readUInt32BE(at), left) // the last one may reach further than was asked
    if (length === 0) throw new Error('it tells of an extent without length')
    extents.push({ length, flags: told.readUInt32BE(at + 4) })
    left -= length
  }
  asked.extents.set(name, extents)
}

function* error(asked: Pending, type: number, length: number): Talk<void> {
  if (type < 0x8000) throw new Error(`it sends a chunk of unknown type ${type}`)
  if (length < 6 || length > ERROR_MAX_BYTES) throw new Error(`it reports an error in ${length} bytes`)
  const told = yield* take(length)
  const message = told.toString('utf8', 6, Math.min(6 + told.readUInt16BE(4), length))
  asked.error ??= refusal(told.readUInt32BE(0), message)
}

const refusal = (errno: number, message: string): NbdError =>
  new NbdError(`the NBD server refuses with error ${errno}${message && `: ${message}`}`, false)
