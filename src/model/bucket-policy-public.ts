/**
 * Whether a policy opens a bucket to the public (S3 user guide, "Blocking public access", "The meaning of public"): an
 * Allow for everyone, unless a condition ties it to fixed values of something that only some have.
 */

import { parseAddressRange } from './address-range.ts'
import type { BucketPolicy, Statement } from './bucket-policy.ts'
import type { Condition } from './bucket-policy-condition.ts'

export const isPublic = (policy: BucketPolicy): boolean => policy.statements.some(isPublicStatement)

const isPublicStatement = ({ effect, principals, conditions }: Statement): boolean =>
  effect === 'Allow' && (principals.everyone || principals.isNot) && !conditions.some(isTie)

/** Everybody can send any Referer; nobody can choose an account. */
const TYING_KEYS = ['aws:principalaccount', 'aws:userid']
const EQUALITIES = ['StringEquals', 'StringEqualsIgnoreCase']
const IPV4_PREFIX_MIN = 8
const IPV6_PREFIX_MIN = 32

function isTie({ operator, key, ifExists, set, expected }: Condition): boolean {
  if (ifExists || set === 'ForAllValues') return false
  if (key === 'aws:sourceip' && operator === 'IpAddress') return expected.every(isNarrow)
  if (!TYING_KEYS.includes(key)) return false
  return EQUALITIES.includes(operator) || (operator === 'StringLike' && expected.every((text) => !/[*?]/.test(text)))
}

function isNarrow(text: string): boolean {
  const range = parseAddressRange(text)
  return range !== null && range.prefix >= (range.family === 4 ? IPV4_PREFIX_MIN : IPV6_PREFIX_MIN)
}
