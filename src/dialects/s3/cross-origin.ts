/** What browsers ask before a page may speak to a bucket of another origin, and what they look for in every answer. */
import { answerPreflight, type CorsRule, corsHeaders } from '../../model/cors.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { BucketMemory } from '../../services/s3-ctx.ts'
import type { RequestHeaders } from './headers.ts'
import type { S3Answer } from './operation.ts'
import type { Target } from './target.ts'

/** OPTIONS, which nobody signs. Throws BadRequest when it is no preflight, AccessForbidden when no rule allows it. */
export async function preflight(buckets: BucketMemory, target: Target, headers: RequestHeaders): Promise<S3Answer> {
  const origin = headers.get('origin')
  const method = headers.get('access-control-request-method')
  if (origin === undefined) {
    throw new S3Error('BadRequest', 'Insufficient information. Origin request header needed.')
  }
  if (method === undefined) {
    throw new S3Error('BadRequest', 'Invalid Access-Control-Request-Method: null')
  }
  const rules = await rulesOf(buckets, target)
  const requestHeaders = headers.get('access-control-request-headers')
  const answer = rules && answerPreflight(rules, { origin, method, requestHeaders })
  if (answer) return { headers: answer }
  throw new S3Error('AccessForbidden', rules ? undefined : 'CORSResponse: CORS is not enabled for this bucket.', {
    elements: { Method: method, ResourceType: target.key === null ? 'BUCKET' : 'OBJECT' },
  })
}

/** For the answer to an actual request, whatever it will be. */
export async function crossOriginHeaders(
  buckets: BucketMemory,
  target: Target,
  headers: RequestHeaders,
  method: string,
): Promise<Record<string, string>> {
  const origin = headers.get('origin')
  if (origin === undefined || target.bucket === null) return {}
  const rules = await rulesOf(buckets, target)
  return rules ? { ...corsHeaders(rules, origin, method) } : {}
}

/** As they are now: pages are not the hot path, and a rule that was taken away must not live on. */
async function rulesOf(buckets: BucketMemory, { bucket }: Target): Promise<readonly CorsRule[] | undefined> {
  if (bucket === null) return undefined
  try {
    return (await buckets.fresh(bucket)).settings.cors
  } catch (error) {
    // That there is no such bucket is for the request itself to find out.
    if (error instanceof S3Error) return undefined
    throw error
  }
}
