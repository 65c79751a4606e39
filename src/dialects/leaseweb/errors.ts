/**
 * Leaseweb's errors: always `errorCode`, `errorMessage` and `correlationId`, a UUID. What else a body has depends on the
 * status, and on a 404 the code is a number; docs/dialects/leaseweb.md has the table.
 */
import { z } from 'zod'
import type { FieldIssue } from '../../model/errors.ts'
import type { ErrorRenderer, Problem } from '../http/errors.ts'

export const ErrorBody = z
  .object({
    errorCode: z.union([z.string(), z.int()]).describe('a number on a 404'),
    errorMessage: z.string(),
    correlationId: z.uuid().describe('the same as in the header APIGW-CORRELATION-ID'),
    userMessage: z.string().optional(),
    reference: z.string().optional(),
    errorDetails: z.record(z.string(), z.array(z.string())).optional().describe('by field, what is wrong with it'),
  })
  .meta({ id: 'Error' })

const ERRORS: Record<Problem['code'], readonly [status: number, code: string, userMessage: string]> = {
  invalid: [400, 'APP00900', 'The request has errors, see the details.'],
  unauthenticated: [401, '401', 'You are not authorized to view this resource.'],
  insufficient_credit: [402, '402', 'Your credit does not cover this.'],
  forbidden: [403, '403', 'Your key may not do this.'],
  not_found: [404, '404', 'The resource you are looking for cannot be found.'],
  method_not_allowed: [405, '405', 'This is not possible here.'],
  already_exists: [403, '403', 'There is one already.'],
  conflict: [403, '403', 'This is not possible now.'],
  quota_exceeded: [403, '403', 'You have as many as you may have.'],
  no_capacity: [403, '403', 'There is no room for this.'],
  idempotency_mismatch: [409, '409', 'This was asked for before, in other words.'],
  too_large: [413, '413', 'The request is too large.'],
  unsupported_media_type: [415, '415', 'Send the request as JSON.'],
  rate_limited: [429, '429', 'You are asking too often. Please try again later.'],
  internal: [500, 'SERVER_ERROR', 'Something went wrong on our side. Please try again later.'],
  unavailable: [503, 'TEMPORARILY_UNAVAILABLE', 'Cannot handle your request at the moment. Please try again later.'],
}

export const errors: ErrorRenderer = (problem) => {
  const { code, message, requestId } = problem
  if (code === 'unauthenticated') return refuseStranger(problem)
  const [status, errorCode, userMessage] = ERRORS[code]
  const general = {
    errorCode,
    errorMessage: message,
    correlationId: requestId,
    userMessage,
    reference: `http://developer.leaseweb.com/errors/${errorCode}`,
  }
  if (code === 'not_found') return { status, body: { ...general, ...notFound(problem) } }
  if (code !== 'invalid') return { status, body: general }
  const errorDetails = detailsOf(problem.issues)
  return { status, body: { ...general, errorMessage: 'Validation failed.', errorDetails } }
}

/** Who has no key is told apart from who has one that nobody knows. */
function refuseStranger({ hasCredential, message, requestId: correlationId }: Problem) {
  if (!hasCredential) return { status: 401, body: { errorCode: '401', errorMessage: message, correlationId } }
  const errorMessage = 'The access token is expired or invalid.'
  return { status: 403, body: { errorCode: 'ACCESS_DENIED', errorMessage, correlationId } }
}

const notFound = ({ resource, message }: Problem) => ({
  errorCode: 404,
  errorMessage: resource ? `Resource '${resource.id}' was not found` : message,
  reference: 'https://www.leaseweb.com/contact',
})

/** The fields of our services in the words of this API. */
const FIELD: Record<string, string> = { imageId: 'operatingSystemId' }

function detailsOf(issues: readonly FieldIssue[]): Record<string, string[]> {
  const details: Record<string, string[]> = {}
  for (const { path, where, message } of issues) {
    const first = path[0]
    const field = first === undefined ? where : (FIELD[first] ?? String(first))
    details[field] = [...new Set([...(details[field] ?? []), sentence(message)])]
  }
  return details
}

const sentence = (text: string): string =>
  `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
