/**
 * The text of an API key: `havn_<service>_<keyid>_<secret><crc>`. The key id finds the row, the secret proves the
 * caller, and the CRC-32 of all before it lets a scanner tell a leaked key from noise without asking us. Keys of the
 * shape `wayscloud_<service>_<prefix>_<secret>` are understood too, without a checksum (their lengths vary).
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { KeyService } from './scopes.ts'

export interface KeyText {
  brand: 'havn' | 'wayscloud'
  service: string
  keyId: string
  secret: string
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const KEY_ID_LENGTH = 12
const SECRET_LENGTH = 40 // 62^40 > 2^238
const CRC_LENGTH = 6 // 62^6 > 2^32

export function newKeyText(service: KeyService): { text: string; keyId: string } {
  const keyId = randomText(KEY_ID_LENGTH).toLowerCase()
  const body = `havn_${service}_${keyId}_${randomText(SECRET_LENGTH)}`
  return { text: body + checksum(body), keyId }
}

/** The parts of a key, or null when the text is no key of ours (wrong shape, wrong checksum). */
export function parseKeyText(text: string): KeyText | null {
  if (text.length > 256) return null
  const match = /^(havn|wayscloud)_([a-z]+)_([A-Za-z0-9]+)_([A-Za-z0-9_-]+)$/.exec(text)
  if (!match) return null
  const [, brand, service, keyId, secret] = match as unknown as [string, KeyText['brand'], string, string, string]
  if (brand === 'havn') {
    const body = text.slice(0, -CRC_LENGTH)
    if (secret.length <= CRC_LENGTH || checksum(body) !== text.slice(-CRC_LENGTH)) return null
  }
  return { brand, service, keyId, secret }
}

function randomText(length: number): string {
  // 248 = 4 * 62: bytes above it would favour the first letters.
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) if (byte < 248 && text.length < length) text += ALPHABET[byte % 62]
  }
  return text
}

function checksum(body: string): string {
  let value = crc32(body)
  let text = ''
  for (let i = 0; i < CRC_LENGTH; i++) {
    text = ALPHABET[value % 62] + text
    value = Math.floor(value / 62)
  }
  return text
}
