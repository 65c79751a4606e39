/** Whom a statement of a bucket policy is about (IAM user guide, "AWS JSON policy elements: Principal"). */
import { isRecord, listOf, malformedPolicy } from './bucket-policy-syntax.ts'
import { accountOfCanonicalId } from './canonical-id.ts'
import { type AccountId, uuidOfId } from './ids.ts'

export interface Caller {
  accountId: AccountId
  accountNumber: number
}
export interface Principals {
  isNot: boolean
  /** `*`: also those without credentials. */
  everyone: boolean
  accountIds: readonly AccountId[]
  accountNumbers: readonly number[]
}

export function standsFor({ isNot, everyone, accountIds, accountNumbers }: Principals, caller: Caller | null): boolean {
  const isNamed =
    everyone ||
    (caller !== null && (accountIds.includes(caller.accountId) || accountNumbers.includes(caller.accountNumber)))
  return isNamed !== isNot
}

const INVALID = 'Invalid principal in policy'

/** Users, roles and services do not exist here; whoever names one is told so instead of waiting for it to work. */
export function parsePrincipals({ isNot, value }: { isNot: boolean; value: unknown }): Principals {
  const principals = { isNot, everyone: false, accountIds: [] as AccountId[], accountNumbers: [] as number[] }
  for (const [kind, name] of namesOf(value)) {
    const canonical = accountOfCanonicalId(name)
    const number = numberOf(name)
    if (kind === 'AWS' && name === '*') principals.everyone = true
    else if (canonical !== null) principals.accountIds.push(canonical)
    else if (kind === 'AWS' && number !== null) principals.accountNumbers.push(number)
    else if (kind === 'AWS' && uuidOfId('account', name) !== null) principals.accountIds.push(name as AccountId)
    else throw malformedPolicy(INVALID)
  }
  return principals
}

function namesOf(value: unknown): [kind: string, name: string][] {
  if (value === '*') return [['AWS', '*']]
  if (!isRecord(value) || Object.keys(value).length === 0) throw malformedPolicy(INVALID)
  return Object.entries(value).flatMap(([kind, names]) => {
    if (kind !== 'AWS' && kind !== 'CanonicalUser') throw malformedPolicy(INVALID)
    return listOf(names, INVALID).map((name): [string, string] => [kind, name])
  })
}

/** AWS writes account numbers with twelve digits, so zeros in front are fine. */
function numberOf(name: string): number | null {
  const match = /^(?:arn:aws:iam::(\d{1,15}):root|(\d{1,15}))$/.exec(name)
  return match ? Number(match[1] ?? match[2]) : null
}
