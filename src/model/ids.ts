/**
 * Identity. Every row has one UUIDv7 (RFC 9562, section 5.7): sortable by creation, unique without asking anybody.
 * Its text id is the same 128 bits in Crockford base32 behind the noun's prefix, `inst_01k…`; so a text id, a UUID and
 * the row can be turned into each other without a look-up table. The small integer that some dialects speak is an
 * identity column and is not made here.
 */
import { randomBytes } from 'node:crypto'

const KINDS = {
  account: 'acct',
  apiKey: 'key',
  host: 'host',
  instance: 'inst',
  operation: 'op',
  incident: 'inc',
  audit: 'aud',
  bucket: 'bkt',
  snapshot: 'snap',
  backup: 'bkp',
  receipt: 'rcpt',
  sshKey: 'ssh',
} as const
export type Noun = keyof typeof KINDS

type Branded<K extends string> = `${K}_${string}`
export type AccountId = Branded<'acct'>
export type ApiKeyId = Branded<'key'>
export type HostId = Branded<'host'>
export type InstanceId = Branded<'inst'>
export type OperationId = Branded<'op'>
export type IncidentId = Branded<'inc'>
export type BucketId = Branded<'bkt'>
export type SnapshotId = Branded<'snap'>
export type BackupId = Branded<'bkp'>
export type ReceiptId = Branded<'rcpt'>
export type SshKeyId = Branded<'ssh'>

export type IdOf<N extends Noun> = Branded<(typeof KINDS)[N]>
export interface Identity<N extends Noun> {
  id: IdOf<N>
  uuid: string
}

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** A new identity: text id and UUID of the same 128 bits. `at` in ms since 1970, only tests give it. */
export function newIdentity<N extends Noun>(noun: N, at = Date.now()): Identity<N> {
  const bytes = uuidV7Bytes(at)
  return { id: `${KINDS[noun]}_${toBase32(bytes)}` as IdOf<N>, uuid: toUuid(bytes) }
}

export const newId = <N extends Noun>(noun: N): IdOf<N> => newIdentity(noun).id

/** The UUID of a text id, or null when the text is no id of that noun. */
export function uuidOfId(noun: Noun, id: string): string | null {
  const prefix = `${KINDS[noun]}_`
  if (!id.startsWith(prefix)) return null
  const bytes = fromBase32(id.slice(prefix.length))
  return bytes && toUuid(bytes)
}

/** The text id of a noun's UUID, or null when the text is no UUID. */
export function idOfUuid<N extends Noun>(noun: N, uuid: string): IdOf<N> | null {
  if (!isUuid(uuid)) return null
  return `${KINDS[noun]}_${toBase32(Buffer.from(uuid.replaceAll('-', ''), 'hex'))}` as IdOf<N>
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
export const isUuid = (text: string): boolean => UUID.test(text)

function uuidV7Bytes(at: number): Buffer {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(at, 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes
}

function toUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** 128 bits as 26 digits, most significant first, so that text order is time order. */
function toBase32(bytes: Buffer): string {
  let value = BigInt(`0x${bytes.toString('hex')}`)
  let text = ''
  for (let i = 0; i < 26; i++) {
    text = ALPHABET[Number(value & 31n)] + text
    value >>= 5n
  }
  return text
}

function fromBase32(text: string): Buffer | null {
  if (text.length !== 26) return null
  let value = 0n
  for (const digit of text) {
    const index = ALPHABET.indexOf(digit)
    if (index < 0) return null
    value = (value << 5n) | BigInt(index)
  }
  if (value >> 128n) return null
  return Buffer.from(value.toString(16).padStart(32, '0'), 'hex')
}
