/**
 * Conditions of bucket policies (IAM user guide, "Condition operators"). All conditions of a statement must hold; of the
 * values of one, any. A condition key that the request does not have fails, except for the negated operators and those
 * with `IfExists`.
 */
import { type AddressRange, parseAddressRange } from './address-range.ts'
import { isRecord, malformedPolicy } from './bucket-policy-syntax.ts'
import { matchesWildcard } from './wildcard.ts'

export type PolicyVersion = '2012-10-17' | '2008-10-17'

export interface ConditionFacts {
  /** The values that the request has for a key, its name as `conditionKey` gives it; none = it does not have it. */
  valuesOf(key: string): readonly string[]
}

export interface Condition {
  /** Without set prefix and `IfExists`. */
  operator: string
  key: string
  ifExists: boolean
  set: 'ForAnyValue' | 'ForAllValues' | null
  /** As written. */
  expected: readonly string[]
  matches(value: string): boolean
}

export function holds(condition: Condition, facts: ConditionFacts): boolean {
  const values = facts.valuesOf(condition.key)
  const isNegated = isNegatedOperator(condition.operator)
  if (condition.operator === 'Null') return condition.matches(String(values.length === 0))
  if (values.length === 0) {
    return condition.ifExists || condition.set === 'ForAllValues' || (isNegated && condition.set === null)
  }
  const passes = (value: string) => condition.matches(value) !== isNegated
  if (condition.set === 'ForAllValues' || (condition.set === null && isNegated)) return values.every(passes)
  return values.some(passes)
}

/** Throws MalformedPolicy for an operator, a key or a value that we would not follow. */
export function parseConditions(value: unknown, version: PolicyVersion): Condition[] {
  if (value === undefined) return []
  if (!isRecord(value)) throw malformedPolicy('Condition must be an object')
  return Object.entries(value).flatMap(([operator, keys]) => {
    if (!isRecord(keys)) throw malformedPolicy(`Invalid Condition: ${operator} must hold an object`)
    return Object.entries(keys).map(([key, values]) => parseCondition(operator, key, values, version))
  })
}

type Test = (value: string) => boolean
/** What a value of the policy is compared by; null = the value is not of the operator's type. */
type Compile = (expected: string, version: PolicyVersion) => Test | null

const asText = (same: (value: string, expected: string) => boolean): Compile => {
  return (expected, version) => {
    const text = withoutVariables(expected, version)
    return (value) => same(value, text)
  }
}
const asNumber = (compare: (value: number, expected: number) => boolean): Compile => {
  return (expected) => {
    const number = numberOf(expected)
    return number === null ? null : (value) => compare(numberOf(value) ?? Number.NaN, number)
  }
}
const asDate = (compare: (value: number, expected: number) => boolean): Compile => {
  return (expected) => {
    const time = timeOf(expected)
    return time === null ? null : (value) => compare(timeOf(value) ?? Number.NaN, time)
  }
}
const asBoolean: Compile = (expected) => {
  const text = expected.toLowerCase()
  return text === 'true' || text === 'false' ? (value) => value.toLowerCase() === text : null
}
const asAddress: Compile = (expected) => {
  const range: AddressRange | null = parseAddressRange(expected)
  return range && ((value) => range.contains(value))
}

const equals = asText((value, expected) => value === expected)
const equalsIgnoringCase = asText((value, expected) => value.toLowerCase() === expected.toLowerCase())
const like: Compile = (expected, version) => {
  const pattern = withoutVariables(expected, version)
  return (value) => matchesWildcard(pattern, value)
}
/** `Not` turns them around in `holds`. */
const OPERATORS: Readonly<Record<string, Compile>> = {
  StringEquals: equals,
  StringNotEquals: equals,
  StringEqualsIgnoreCase: equalsIgnoringCase,
  StringNotEqualsIgnoreCase: equalsIgnoringCase,
  StringLike: like,
  StringNotLike: like,
  NumericEquals: asNumber((value, expected) => value === expected),
  NumericNotEquals: asNumber((value, expected) => value === expected),
  NumericLessThan: asNumber((value, expected) => value < expected),
  NumericLessThanEquals: asNumber((value, expected) => value <= expected),
  NumericGreaterThan: asNumber((value, expected) => value > expected),
  NumericGreaterThanEquals: asNumber((value, expected) => value >= expected),
  DateEquals: asDate((value, expected) => value === expected),
  DateNotEquals: asDate((value, expected) => value === expected),
  DateLessThan: asDate((value, expected) => value < expected),
  DateLessThanEquals: asDate((value, expected) => value <= expected),
  DateGreaterThan: asDate((value, expected) => value > expected),
  DateGreaterThanEquals: asDate((value, expected) => value >= expected),
  Bool: asBoolean,
  IpAddress: asAddress,
  NotIpAddress: asAddress,
  Null: asBoolean,
}
const isNegatedOperator = (operator: string) => operator.includes('Not')

function parseCondition(written: string, keyName: string, values: unknown, version: PolicyVersion): Condition {
  const [, set, operator = '', suffix] = /^(?:(ForAnyValue|ForAllValues):)?(\w+?)(IfExists)?$/.exec(written) ?? []
  const compile = Object.hasOwn(OPERATORS, operator) ? OPERATORS[operator] : undefined
  if (!compile || (operator === 'Null' && (suffix || set))) {
    throw malformedPolicy(`Invalid Condition type : ${written}`)
  }
  const key = conditionKey(keyName)
  if (key === null) throw malformedPolicy(`Policy has an invalid condition key: ${keyName}`)
  const expected = textsOf(values, keyName)
  const tests = expected.map((text) => {
    const test = compile(text, version)
    if (!test) throw malformedPolicy(`Invalid value for ${written}: ${text}`)
    return test
  })
  return {
    operator,
    key,
    ifExists: suffix !== undefined,
    set: (set as Condition['set'] | undefined) ?? null,
    expected,
    matches: (value) => tests.some((test) => test(value)),
  }
}

function textsOf(values: unknown, key: string): string[] {
  const list: unknown[] = Array.isArray(values) ? values : [values]
  const isText = (item: unknown) => ['string', 'number', 'boolean'].includes(typeof item)
  if (list.length === 0 || !list.every(isText)) throw malformedPolicy(`Invalid Condition: no values for ${key}`)
  return list.map(String)
}

/** What can be asked about; services/access.ts knows the values. */
export const CONDITION_KEYS = [
  'aws:currenttime',
  'aws:epochtime',
  'aws:principalaccount',
  'aws:principaltype',
  'aws:referer',
  'aws:securetransport',
  'aws:sourceip',
  'aws:useragent',
  'aws:userid',
  's3:authtype',
  's3:delimiter',
  's3:max-keys',
  's3:object-lock-legal-hold',
  's3:object-lock-mode',
  's3:object-lock-remaining-retention-days',
  's3:object-lock-retain-until-date',
  's3:prefix',
  's3:requestobjecttagkeys',
  's3:resourceaccount',
  's3:signatureversion',
  's3:versionid',
  's3:x-amz-acl',
  's3:x-amz-content-sha256',
  's3:x-amz-copy-source',
  's3:x-amz-grant-full-control',
  's3:x-amz-grant-read',
  's3:x-amz-grant-read-acp',
  's3:x-amz-grant-write',
  's3:x-amz-grant-write-acp',
  's3:x-amz-metadata-directive',
  's3:x-amz-object-ownership',
  's3:x-amz-server-side-encryption',
  's3:x-amz-server-side-encryption-customer-algorithm',
  's3:x-amz-storage-class',
  's3:x-amz-website-redirect-location',
] as const
/** With the key of a tag behind it, in which letter case counts. */
const TAG_KEYS = ['s3:existingobjecttag/', 's3:requestobjecttag/']

/** In lower case, as the names of keys know no other; null when we do not know it. */
function conditionKey(name: string): string | null {
  const lower = name.toLowerCase()
  if ((CONDITION_KEYS as readonly string[]).includes(lower)) return lower
  const tag = TAG_KEYS.find((prefix) => lower.startsWith(prefix) && lower.length > prefix.length)
  return tag === undefined ? null : tag + name.slice(tag.length)
}

/** Since 2012 `${…}` is a variable. We have none; only `${$}`, a dollar sign, is followed. */
export function withoutVariables(text: string, version: PolicyVersion): string {
  if (version === '2008-10-17') return text
  return text.replace(/\$\{[^}]*\}?/g, (variable) => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the policy's own syntax
    if (variable === '${$}') return '$'
    throw malformedPolicy(`Policy variables are not supported: ${variable}`)
  })
}

const numberOf = (text: string): number | null => (/^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : null)

const ISO_DATE = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d))?$/

/** In ms since 1970: an ISO 8601 date, or seconds since 1970. */
function timeOf(text: string): number | null {
  const time = /^\d{1,12}$/.test(text) ? Number(text) * 1000 : ISO_DATE.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? null : time
}
