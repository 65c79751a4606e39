/**
 * Ids of versions. They carry the seq, so that a look-up is one of the primary key, and hide it: the first 12 digits are
 * the seq under the first 48 of the 80 random bits behind it. The database makes them (version_id_of), because only
 * under the key's lock it is known which seq comes next.
 */
import { randomBytes } from 'node:crypto'
import { NULL_VERSION } from '../model/object.ts'

const FORM = /^[0-9a-f]{32}$/

export const newVersionRandom = (): string => randomBytes(10).toString('hex')

/** Where the version stands: its seq, or null for the null version. Undefined = no id of ours. */
export function seqOfVersionId(id: string): number | null | undefined {
  if (id === NULL_VERSION) return null
  if (!FORM.test(id)) return undefined
  return Number(BigInt(`0x${id.slice(0, 12)}`) ^ BigInt(`0x${id.slice(12, 24)}`))
}
