/**
 * The manners of Django REST framework, which its pages suggest: a text under `detail`, or for input that is wrong a list
 * of texts under each field's name (https://www.django-rest-framework.org/api-guide/exceptions/).
 */
import { z } from 'zod'
import type { FieldIssue } from '../../model/errors.ts'
import type { ErrorRenderer, Problem } from '../http/errors.ts'

export const ErrorBody = z
  .union([z.object({ detail: z.string() }), z.record(z.string(), z.array(z.string()))])
  .meta({ id: 'Error', description: 'Either a `detail`, or a list of texts under the name of each wrong field.' })

const STATUS: Record<Problem['code'], number> = {
  invalid: 400,
  unauthenticated: 401,
  insufficient_credit: 402,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  already_exists: 400,
  conflict: 400,
  quota_exceeded: 400,
  no_capacity: 400,
  idempotency_mismatch: 409,
  too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
}

export const errors: ErrorRenderer = (problem) => ({
  status: STATUS[problem.code],
  body: problem.code === 'invalid' ? wrongInput(problem) : { detail: detailOf(problem) },
  ...(problem.code === 'unauthenticated' && { headers: { 'www-authenticate': 'Bearer' } }),
})

function detailOf(problem: Problem): string {
  switch (problem.code) {
    case 'unauthenticated':
      return problem.hasCredential ? 'Invalid token.' : 'Authentication credentials were not provided.'
    case 'insufficient_credit':
      return 'Insufficient credit.'
    case 'not_found':
      return problem.resource?.noun === 'page' ? 'Invalid page.' : 'Not found.'
    case 'method_not_allowed':
      return `Method "${problem.method}" not allowed.`
    case 'conflict':
      return refusal(problem)
    case 'internal':
      return 'A server error occurred.'
    default:
      return problem.message
  }
}

/** Of a power action in the wrong state. */
function refusal({ state, path, message }: Problem): string {
  if (state === null) return message
  if (state === 'suspended') return 'Server is suspended.'
  if (!/\/start\/?$/.test(path)) return 'Server is not running.'
  return state === 'running' ? 'Server is already running.' : `Server is ${state}.`
}

const NO_FIELD = 'non_field_errors'
/** The fields of our services in the words of this API. */
const FIELD: Record<string, string> = {
  planId: 'plan_id',
  imageId: 'os_id',
  regionId: 'location',
  sshKeys: 'ssh_key_id',
  sshKeyIds: 'ssh_key_id',
}

function wrongInput({ issues, message }: Problem): unknown {
  const unreadable = issues.find(({ where, code, path }) => where === 'body' && path.length === 0 && isSyntax(code))
  if (unreadable) return { detail: `JSON parse error - the body ${unreadable.message}` }
  if (issues.length === 0) return { [NO_FIELD]: [message] }
  const body: Record<string, string[]> = {}
  for (const issue of issues) {
    const first = issue.path[0]
    const field = first === undefined ? NO_FIELD : (FIELD[first] ?? String(first))
    body[field] ??= []
    const text = textOf(issue, field)
    if (!body[field].includes(text)) body[field].push(text)
  }
  return body
}

const SYNTAX: readonly string[] = ['json_invalid', 'invalid_text', 'forbidden_key', 'too_deep']
const isSyntax = (code: string): boolean => SYNTAX.includes(code)

function textOf({ code, message, input }: FieldIssue, field: string): string {
  if (code === 'missing') return 'This field is required.'
  if (input === null) return field === NO_FIELD ? 'No data provided' : 'This field may not be null.'
  if (code !== 'unknown_choice') return message
  return field === 'location' ? `"${input}" is not a valid choice.` : `Invalid pk "${input}" - object does not exist.`
}
