/**
 * The access keys that signatures are checked with, always as the database has them when a request comes: a key that
 * was revoked or whose account was suspended before opens nothing. Requests that come in one turn of the event loop
 * share a question, so the busier a process is, the less the strictness costs.
 */
import { askAtOnce } from '../lib/at-once.ts'
import { unseal } from '../lib/secrets.ts'
import { canonicalIdOf } from '../model/canonical-id.ts'
import * as accessKeys from '../store/access-keys.ts'
import type { Db } from '../store/db.ts'
import type { S3Caller } from './s3-ctx.ts'

/** What a signature is checked with, and who then asks. */
export interface Signer {
  secretAccessKey: string
  caller: S3Caller
  isSuspended: boolean
}

export interface Signers {
  /** Null: there is no such key, or no longer. */
  find(accessKeyId: string): Promise<Signer | null>
  stop(): Promise<void>
}

const ACCESS_KEY_ID = /^[A-Z0-9]{16,128}$/
const ASKED_AT_ONCE_MAX = 1_000
const OPENED_MAX = 10_000
const TOUCH_MS = 30_000

export function createSigners(db: Db, masterKey: Buffer, warn: (message: string, error?: unknown) => void): Signers {
  const rowOf = askAtOnce(ASKED_AT_ONCE_MAX, async (ids: readonly string[]) => {
    const rows = await accessKeys.findForSigning(db, ids)
    const found = new Map(rows.map((row) => [row.accessKeyId, row]))
    return ids.map((id) => found.get(id))
  })
  // Opening a seal costs more than the look-up; the sealed text says whether it is still the same.
  const opened = new Map<string, { sealed: Buffer; secret: string; canonicalId: string }>()
  const used = new Set<string>()

  function signerOf(row: accessKeys.SigningKey | undefined): Signer | null {
    if (!row) return null
    const { secretSealed, suspendedReason, ...caller } = row
    const { secret, canonicalId } = open(row)
    used.add(row.accessKeyId)
    return { secretAccessKey: secret, caller: { ...caller, canonicalId }, isSuspended: suspendedReason !== null }
  }

  function open({ accessKeyId, accountId, secretSealed: sealed }: accessKeys.SigningKey) {
    const known = opened.get(accessKeyId)
    if (known?.sealed.equals(sealed)) return known
    const made = { sealed, secret: unseal(masterKey, sealed), canonicalId: canonicalIdOf(accountId) }
    if (opened.size >= OPENED_MAX) opened.clear()
    opened.set(accessKeyId, made)
    return made
  }

  async function noteUse(): Promise<void> {
    const ids = [...used]
    used.clear()
    await accessKeys.touch(db, ids).catch((error) => warn('cannot note the use of access keys', error))
  }
  const timer = setInterval(() => void noteUse(), TOUCH_MS).unref()

  return {
    async find(accessKeyId) {
      if (!ACCESS_KEY_ID.test(accessKeyId)) return null
      // Opened by each for himself: a seal that does not open is nobody else's trouble.
      return signerOf(await rowOf(accessKeyId))
    },
    async stop() {
      clearInterval(timer)
      await noteUse()
    },
  }
}
