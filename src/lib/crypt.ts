/**
 * The hash that a guest's /etc/shadow holds: crypt(3) with SHA-512, `$6$<salt>$<hash>`, as told in "Unix crypt using
 * SHA-256 and SHA-512" (U. Drepper, 2008). Node has none. It takes some ten milliseconds.
 */
import { hash, randomInt } from 'node:crypto'

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SALT_LENGTH = 16
const ROUNDS = 5_000 // the number that stands for itself when none is named

export const newSalt = (): string => Array.from({ length: SALT_LENGTH }, () => ALPHABET[randomInt(64)]).join('')

/** `salt`: 1 to 16 characters of `./0-9A-Za-z`. */
export function cryptSha512(password: string, salt: string = newSalt()): string {
  const secret = Buffer.from(password, 'utf8')
  const salted = Buffer.from(salt, 'latin1')
  const { length } = secret
  const inner = digest(secret, salted, secret)
  const first = digest(secret, salted, stretch(inner, length), ...mixed(length, inner, secret))
  const p = stretch(digest(...Array<Buffer>(length).fill(secret)), length)
  const s = stretch(digest(...Array<Buffer>(16 + first[0]!).fill(salted)), salted.length)
  let last = first
  for (let round = 0; round < ROUNDS; round++) {
    const isOdd = round % 2 === 1
    const parts = [isOdd ? p : last]
    if (round % 3 !== 0) parts.push(s)
    if (round % 7 !== 0) parts.push(p)
    parts.push(isOdd ? last : p)
    last = digest(...parts)
  }
  return `$6$${salt}$${encode(last)}`
}

const digest = (...parts: Buffer[]): Buffer => hash('sha512', Buffer.concat(parts), 'buffer')

const stretch = (bytes: Buffer, length: number): Buffer => Buffer.alloc(length, bytes)

/** One part for every bit of the length, the lowest first. */
function mixed(length: number, ofOne: Buffer, ofZero: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let rest = length; rest > 0; rest >>= 1) parts.push(rest % 2 === 1 ? ofOne : ofZero)
  return parts
}

/** Three bytes make four characters, the lowest bits first; which three, turns with every group. */
function encode(bytes: Buffer): string {
  let text = ''
  let order = [0, 21, 42]
  for (let group = 0; group < 21; group++) {
    const [high, middle, low] = order.map((index) => bytes[index]!) as [number, number, number]
    text += digits((high << 16) | (middle << 8) | low, 4)
    order = [order[1]! + 1, order[2]! + 1, order[0]! + 1]
  }
  return text + digits(bytes[63]!, 2)
}

const digits = (value: number, count: number): string =>
  Array.from({ length: count }, (_, index) => ALPHABET[(value >> (6 * index)) & 63]).join('')
