/** The first part of a connection: which export, structured replies, which meta contexts (proto.md, "Fixed newstyle"). */
import { type Talk, take } from './conversation.ts'

const INIT_MAGIC = Buffer.from('NBDMAGICIHAVEOPT')
const REPLY_MAGIC = 0x0003e889045565a9n
const FIXED_NEWSTYLE = 1
const NO_ZEROES = 2
const OPTION = { go: 7, structuredReply: 8, setMetaContext: 10 }
const REPLY = { ack: 1, info: 3, metaContext: 4 }
const INFO_EXPORT = 0
const ERROR_BIT = 0x8000_0000
/** An option's answer is a few words; errors are strings of at most 4096 bytes. */
const REPLY_MAX_BYTES = 8192
const REPLIES_MAX = 64

interface OptionReply {
  type: number
  data: Buffer
}

export function* negotiate(
  send: (bytes: Buffer) => void,
  exportName: string,
  wanted: readonly string[],
): Talk<{ sizeBytes: number; contexts: Map<number, string> }> {
  const greeting = yield* take(18)
  if (!greeting.subarray(0, 16).equals(INIT_MAGIC)) throw new Error('it greets in another protocol')
  if (!(greeting.readUInt16BE(16) & FIXED_NEWSTYLE)) throw new Error('it does not negotiate')
  const flags = Buffer.alloc(4)
  flags.writeUInt32BE(FIXED_NEWSTYLE | (greeting.readUInt16BE(16) & NO_ZEROES))
  send(flags)

  send(option(OPTION.structuredReply, Buffer.alloc(0)))
  if ((yield* answers(OPTION.structuredReply)).refusal) throw new Error('it does not know structured replies')
  const contexts = wanted.length > 0 ? yield* setContexts(send, exportName, wanted) : new Map<number, string>()

  send(option(OPTION.go, Buffer.concat([text(exportName), Buffer.alloc(2)])))
  const { replies, refusal } = yield* answers(OPTION.go)
  if (refusal) throw new Error(`it refuses the export ${JSON.stringify(exportName)}: ${refusal}`)
  const facts = replies.find(({ type, data }) => {
    return type === REPLY.info && data.length === 12 && data.readUInt16BE(0) === INFO_EXPORT
  })
  const sizeBytes = Number(facts?.data.readBigUInt64BE(2) ?? -1)
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw new Error('it does not say how large the export is')
  return { sizeBytes, contexts }
}

/** By the number that the server gives them; the wanted ones it does not know are left out. */
function* setContexts(
  send: (bytes: Buffer) => void,
  exportName: string,
  wanted: readonly string[],
): Talk<Map<number, string>> {
  send(option(OPTION.setMetaContext, Buffer.concat([text(exportName), uint32(wanted.length), ...wanted.map(text)])))
  const contexts = new Map<number, string>()
  for (const { type, data } of (yield* answers(OPTION.setMetaContext)).replies) {
    if (type !== REPLY.metaContext || data.length < 4) continue
    const name = data.toString('utf8', 4)
    if (wanted.includes(name)) contexts.set(data.readUInt32BE(0), name)
  }
  return contexts
}

/** Up to the last one of an option; `refusal` is what an error says. */
function* answers(asked: number): Talk<{ replies: OptionReply[]; refusal: string | null }> {
  const replies: OptionReply[] = []
  while (replies.length < REPLIES_MAX) {
    const head = yield* take(20)
    if (head.readBigUInt64BE(0) !== REPLY_MAGIC || head.readUInt32BE(8) !== asked) {
      throw new Error('it answers something else than was asked')
    }
    const type = head.readUInt32BE(12)
    const length = head.readUInt32BE(16)
    if (length > REPLY_MAX_BYTES) throw new Error(`it answers with ${length} bytes`)
    const data = yield* take(length)
    if (type >= ERROR_BIT) return { replies, refusal: data.toString() || `error ${type - ERROR_BIT}` }
    if (type === REPLY.ack) return { replies, refusal: null }
    replies.push({ type, data })
  }
  throw new Error('it does not come to an end with its answer')
}

const option = (number: number, data: Buffer): Buffer =>
  Buffer.concat([Buffer.from('IHAVEOPT'), uint32(number), uint32(data.length), data])

const text = (value: string): Buffer => Buffer.concat([uint32(Buffer.byteLength(value)), Buffer.from(value)])

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
