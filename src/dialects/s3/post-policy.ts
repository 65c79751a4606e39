/** The policy of a form: what whoever signed it allows to be uploaded (S3 API reference, "POST Policy"). Pure. */
import { S3Error } from '../../model/s3-error.ts'

export interface PostPolicy {
  expiresAt: Date
  conditions: readonly Condition[]
}
type Condition =
  | { kind: 'eq' | 'starts-with'; field: string; value: string }
  | { kind: 'range'; min: number; max: number }

export interface SizeRange {
  min: number
  max: number
}

const invalid = (why: string) => new S3Error('InvalidPolicyDocument', `Invalid Policy: ${why}.`)
const refused = (why: string) => new S3Error('AccessDenied', `Invalid according to Policy: ${why}`)

/** Throws InvalidPolicyDocument. */
export function parsePostPolicy(base64: string): PostPolicy {
  let document: unknown
  try {
    document = JSON.parse(Buffer.from(base64, 'base64').toString('utf8'))
  } catch {
    throw invalid('Invalid JSON')
  }
  if (!isRecord(document)) throw invalid('it is no object')
  const { expiration, conditions } = document
  if (typeof expiration !== 'string') throw invalid('Policy missing expiration')
  const expiresAt = new Date(expiration)
  if (!/^\d{4}-\d\d-\d\dT/.test(expiration) || Number.isNaN(expiresAt.getTime())) {
    throw invalid(`Invalid 'expiration' value: '${expiration}'`)
  }
  if (!Array.isArray(conditions)) throw invalid('Policy missing conditions')
  return { expiresAt, conditions: conditions.flatMap(parseCondition) }
}

function parseCondition(given: unknown): Condition[] {
  if (Array.isArray(given)) {
    const [operator, first, second] = given as unknown[]
    const kind = typeof operator === 'string' ? operator.toLowerCase() : ''
    if (given.length !== 3) throw invalid('a condition needs three values')
    if (kind === 'content-length-range') {
      const [min, max] = [Number(first), Number(second)]
      if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || min < 0) throw invalid('content-length-range')
      return [{ kind: 'range', min, max }]
    }
    if ((kind !== 'eq' && kind !== 'starts-with') || typeof first !== 'string' || !first.startsWith('$')) {
      throw invalid('unknown kind of condition')
    }
    if (typeof second !== 'string') throw invalid('the value of a condition is no text')
    return [{ kind, field: first.slice(1).toLowerCase(), value: second }]
  }
  if (!isRecord(given)) throw invalid('a condition is neither a list nor an object')
  return Object.entries(given).map(([name, value]) => {
    if (typeof value !== 'string') throw invalid('the value of a condition is no text')
    return { kind: 'eq', field: name.toLowerCase(), value }
  })
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Fields that no condition needs to speak of. */
const isFree = (name: string): boolean =>
  name === 'x-amz-signature' || name === 'policy' || name === 'file' || name.startsWith('x-ignore-')

/**
 * `fields` by lower-case name, `bucket` among them whether or not the form has it. Throws AccessDenied; returns how
 * long the file may be.
 */
export function checkPostPolicy(
  { expiresAt, conditions }: PostPolicy,
  fields: ReadonlyMap<string, string>,
  now: Date,
): SizeRange {
  if (now >= expiresAt) throw refused('Policy expired.')
  const range: SizeRange = { min: 0, max: Number.MAX_SAFE_INTEGER }
  const covered = new Set<string>(['bucket'])
  for (const condition of conditions) {
    if (condition.kind === 'range') {
      range.min = Math.max(range.min, condition.min)
      range.max = Math.min(range.max, condition.max)
      continue
    }
    const { kind, field, value } = condition
    covered.add(field)
    const given = fields.get(field) ?? ''
    if (kind === 'eq' ? given === value : given.startsWith(value)) continue
    throw refused(`Policy Condition failed: ["${kind}", "$${field}", "${value}"]`)
  }
  const extra = [...fields.keys()].filter((name) => !covered.has(name) && !isFree(name))
  if (extra.length > 0) throw refused(`Extra input fields: ${extra.join(', ')}`)
  return range
}
