/**
 * Bucket policies (IAM user guide, "Policy grammar"; S3 user guide, "Bucket policies"). A policy is parsed strictly:
 * what we would not follow is refused when it is written, because a condition that is ignored opens a bucket. Pure; the
 * facts of a request come in from services/access.ts.
 */
import {
  type Condition,
  type ConditionFacts,
  holds,
  type PolicyVersion,
  parseConditions,
  withoutVariables,
} from './bucket-policy-condition.ts'
import { type Caller, type Principals, parsePrincipals, standsFor } from './bucket-policy-principal.ts'
import { findRepeatedMember, isRecord, listOf, malformedPolicy } from './bucket-policy-syntax.ts'
import { isObjectAction, OTHER_S3_ACTIONS, S3_ACTIONS, type S3Action } from './s3-action.ts'
import { matchesWildcard } from './wildcard.ts'

export interface BucketPolicy {
  statements: readonly Statement[]
}
export interface Statement {
  effect: 'Allow' | 'Deny'
  principals: Principals
  actions: Patterns
  resources: Patterns
  conditions: readonly Condition[]
}
interface Patterns {
  isNot: boolean
  patterns: readonly string[]
}

/** What is asked, by whom, and what policies may ask about it. */
export interface PolicyFacts extends ConditionFacts {
  action: S3Action
  bucketName: string
  /** Null for the bucket itself. */
  key: string | null
  /** Null = nobody. */
  caller: Caller | null
}

export type Verdict = 'Allow' | 'Deny' | 'silent'

export const POLICY_MAX_BYTES = 20 * 1024 // S3 user guide, "Bucket policies"
const FIELDS = [
  'Sid',
  'Effect',
  'Principal',
  'NotPrincipal',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
]
const ARN = 'arn:aws:s3:::'

/** An explicit Deny wins over every Allow. */
export function evaluate(policy: BucketPolicy, facts: PolicyFacts): Verdict {
  let verdict: Verdict = 'silent'
  for (const statement of policy.statements) {
    if (verdict === statement.effect || !applies(statement, facts)) continue
    if (statement.effect === 'Deny') return 'Deny'
    verdict = 'Allow'
  }
  return verdict
}

function applies({ principals, actions, resources, conditions }: Statement, facts: PolicyFacts): boolean {
  const action = facts.action.toLowerCase()
  const resource = ARN + facts.bucketName + (facts.key === null ? '' : `/${facts.key}`)
  return (
    actions.patterns.some((pattern) => matchesWildcard(pattern, action)) !== actions.isNot &&
    resources.patterns.some((pattern) => matchesWildcard(pattern, resource)) !== resources.isNot &&
    standsFor(principals, facts.caller) &&
    conditions.every((condition) => holds(condition, facts))
  )
}

/** Throws MalformedPolicy with the reason. */
export function parsePolicy(text: string, bucketName: string): BucketPolicy {
  if (Buffer.byteLength(text) > POLICY_MAX_BYTES) throw malformedPolicy('Policy is larger than 20 KiB')
  const document = parseJson(text)
  const unknown = Object.keys(document).find((name) => !['Version', 'Id', 'Statement'].includes(name))
  if (unknown !== undefined) throw malformedPolicy(`Unknown field ${unknown}`)
  if (document.Id !== undefined && typeof document.Id !== 'string') throw malformedPolicy('Id must be a string')
  const version = document.Version ?? '2008-10-17'
  if (version !== '2012-10-17' && version !== '2008-10-17') {
    throw malformedPolicy('The policy must contain a valid version string')
  }
  const statements = (Array.isArray(document.Statement) ? document.Statement : [document.Statement]) as unknown[]
  if (document.Statement === undefined) throw malformedPolicy('Missing required field Statement')
  if (statements.length === 0) throw malformedPolicy('Could not parse the policy: Statement is empty!')
  const ids = statements.flatMap((statement) => (isRecord(statement) && statement.Sid ? [statement.Sid] : []))
  if (new Set(ids).size < ids.length) throw malformedPolicy('Statement IDs (SID) in a single policy must be unique')
  return { statements: statements.map((statement) => parseStatement(statement, version, bucketName)) }
}

function parseJson(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw malformedPolicy('This policy contains invalid Json')
  }
  if (!isRecord(value)) throw malformedPolicy("Policies must be valid JSON and the first byte must be '{'")
  const repeated = findRepeatedMember(text)
  if (repeated !== null) throw malformedPolicy(`Field ${repeated} stands twice`)
  return value
}

function parseStatement(value: unknown, version: PolicyVersion, bucketName: string): Statement {
  if (!isRecord(value)) throw malformedPolicy('Statement must be an object')
  const unknown = Object.keys(value).find((name) => !FIELDS.includes(name))
  if (unknown !== undefined) throw malformedPolicy(`Unknown field ${unknown}`)
  if (value.Sid !== undefined && typeof value.Sid !== 'string') throw malformedPolicy('Sid must be a string')
  if (value.Effect === undefined) throw malformedPolicy('Missing required field Effect')
  if (value.Effect !== 'Allow' && value.Effect !== 'Deny') {
    throw malformedPolicy(`Invalid effect: ${String(value.Effect)}`)
  }
  const principals = parsePrincipals(oneOf(value, 'Principal', 'NotPrincipal'))
  const actions = parseActions(oneOf(value, 'Action', 'NotAction'))
  const resources = parseResources(oneOf(value, 'Resource', 'NotResource'), version, bucketName)
  checkTogether(actions, resources, bucketName)
  return {
    effect: value.Effect,
    principals,
    actions,
    resources,
    conditions: parseConditions(value.Condition, version),
  }
}

interface OneOf {
  isNot: boolean
  value: unknown
}
function oneOf(statement: Record<string, unknown>, name: string, notName: string): OneOf {
  const [plain, not] = [statement[name], statement[notName]]
  if (plain !== undefined && not !== undefined) throw malformedPolicy(`${name} and ${notName} exclude each other`)
  if (plain === undefined && not === undefined) throw malformedPolicy(`Missing required field ${name}`)
  return plain === undefined ? { isNot: true, value: not } : { isNot: false, value: plain }
}

const KNOWN_ACTIONS = [...S3_ACTIONS, ...OTHER_S3_ACTIONS].map((action) => action.toLowerCase())

function parseActions({ isNot, value }: OneOf): Patterns {
  const patterns = listOf(value, 'Policy has invalid action').map((action) => action.toLowerCase())
  for (const pattern of patterns) {
    if (!KNOWN_ACTIONS.some((action) => matchesWildcard(pattern, action))) {
      throw malformedPolicy('Policy has invalid action')
    }
  }
  return { isNot, patterns }
}

function parseResources({ isNot, value }: OneOf, version: PolicyVersion, bucketName: string): Patterns {
  const patterns = listOf(value, 'Policy has invalid resource').map((text) => withoutVariables(text, version))
  for (const pattern of patterns) {
    const own = ARN + bucketName
    if (pattern !== own && !pattern.startsWith(`${own}/`)) throw malformedPolicy('Policy has invalid resource')
  }
  return { isNot, patterns }
}

/** `s3:GetObject` on the bucket's own ARN never applies: an author who writes it believes something that is not so. */
function checkTogether(actions: Patterns, resources: Patterns, bucketName: string): void {
  if (actions.isNot || resources.isNot) return
  const hasBucket = resources.patterns.includes(ARN + bucketName)
  const hasObjects = resources.patterns.some((pattern) => pattern !== ARN + bucketName)
  for (const pattern of actions.patterns) {
    const fits = KNOWN_ACTIONS.some(
      (action) => (isObjectAction(action) ? hasObjects : hasBucket) && matchesWildcard(pattern, action),
    )
    if (!fits) throw malformedPolicy('Action does not apply to any resource(s) in statement')
  }
}
