/**
 * The canonical user id of an account: what owners and grantees of S3 are named by (S3 user guide, "ACL overview"). It
 * is 64 hex digits, as clients expect: those of the account's UUID, and as many again that follow from them. So an
 * account is found by it without a table, and a mistyped one is found to be nobody's.
 */
import { createHash } from 'node:crypto'
import { type AccountId, idOfUuid, uuidOfId } from './ids.ts'

export function canonicalIdOf(accountId: AccountId): string {
  const uuid = uuidOfId('account', accountId)
  if (uuid === null) throw new Error(`${accountId} is no id of an account`)
  const digits = uuid.replaceAll('-', '')
  return digits + tailOf(digits)
}

/** Null when the text is no canonical id; that such an account exists is not said. */
export function accountOfCanonicalId(text: string): AccountId | null {
  const id = text.toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(id)) return null
  const digits = id.slice(0, 32)
  if (id.slice(32) !== tailOf(digits)) return null
  return idOfUuid('account', digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'))
}

const tailOf = (digits: string) => createHash('sha256').update(`canonical user id ${digits}`).digest('hex').slice(0, 32)
