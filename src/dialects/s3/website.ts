/**
 * A bucket as a web site, for browsers: anonymous GET and HEAD, index documents, redirects, and errors as pages (S3 user
 * guide, "Website endpoints"). What may be read is what everybody may read; nothing is listed.
 */
import { S3Error } from '../../model/s3-error.ts'
import { type Redirect, redirectOfError, redirectOfKey } from '../../model/website.ts'
import { type Reading, read } from '../../services/objects/read.ts'
import type { S3Answer, ShowWebsite, WebsiteVisit } from './operation.ts'
import { escapeXml, urlEncode } from './xml.ts'

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  412: 'Precondition Failed',
  416: 'Requested Range Not Satisfiable',
  503: 'Service Unavailable',
}

export const showWebsite: ShowWebsite = async (visit) => {
  try {
    return await show(visit)
  } catch (error) {
    // What is no S3Error is a bug, and is told and logged as one by the server.
    if (!(error instanceof S3Error) || error.s3Code === 'NotModified') throw error
    return errorPage(visit, error)
  }
}

async function show(visit: WebsiteVisit): Promise<S3Answer> {
  const bucket = await visit.ctx.buckets.fresh(visit.bucketName)
  // Redirections ask nobody for permission.
  if (bucket.isSuspended) throw new S3Error('AccessDenied')
  const { website } = bucket.settings
  if (!website) throw new S3Error('NoSuchWebsiteConfiguration')
  const early = redirectOfKey(website, visit.key)
  if (early) return redirect(visit, early)
  if ('redirectAllTo' in website) throw new Error('a site that redirects all has not')
  const isFolder = visit.key === '' || visit.key.endsWith('/')
  const key = isFolder ? visit.key + website.indexDocument : visit.key
  try {
    return await page(await readPage(visit, key), null)
  } catch (error) {
    if (!(error instanceof S3Error) || (error.status !== 403 && error.status !== 404)) throw error
    if (!isFolder && (await isShown(visit, `${key}/${website.indexDocument}`))) {
      return { status: 302, headers: { location: `${visit.origin}/${urlEncode(key)}/` } }
    }
    const late = redirectOfError(website.routingRules, visit.key, error.status)
    if (late) return redirect(visit, late)
    if (website.errorDocument === undefined) throw error
    return errorDocument(visit, website.errorDocument, error)
  }

  async function readPage({ ctx, header, method }: WebsiteVisit, key: string): Promise<Reading> {
    return read(
      ctx,
      { bucket, key },
      {
        conditions: {
          ifMatch: header('if-match'),
          ifNoneMatch: header('if-none-match'),
          ifModifiedSince: header('if-modified-since'),
          ifUnmodifiedSince: header('if-unmodified-since'),
        },
        range: header('range'),
        ifRange: header('if-range'),
        customerKey: undefined,
        withoutBody: method === 'HEAD',
      },
    )
  }

  /** Whether everybody may see that object. */
  async function isShown({ ctx }: WebsiteVisit, key: string): Promise<boolean> {
    try {
      const reading = await read(ctx, { bucket, key }, { conditions: {}, customerKey: undefined, withoutBody: true })
      await reading.cancel()
      return true
    } catch (error) {
      if (error instanceof S3Error) return false
      throw error
    }
  }

  /** The site's own page about an error; ours when it cannot be shown. */
  async function errorDocument({ ctx, method }: WebsiteVisit, key: string, error: S3Error): Promise<S3Answer> {
    try {
      const options = { conditions: {}, customerKey: undefined, withoutBody: method === 'HEAD' }
      return await page(await read(ctx, { bucket, key }, options), error.status)
    } catch (second) {
      if (second instanceof S3Error) throw error
      throw second
    }
  }
}

async function page(reading: Reading, status: number | null): Promise<S3Answer> {
  const { version, range, lengthBytes, body } = reading
  const { 'x-amz-website-redirect-location': location, ...headers } = version.headers
  if (location !== undefined && status === null) {
    await reading.cancel()
    return { status: 301, headers: { location } }
  }
  return {
    status: status ?? (range ? 206 : 200),
    headers: {
      'accept-ranges': 'bytes',
      'last-modified': version.modifiedAt.toUTCString(),
      etag: `"${version.etag}"`,
      ...headers,
      ...Object.fromEntries(Object.entries(version.metadata).map(([name, value]) => [`x-amz-meta-${name}`, value])),
      'content-range': range
        ? `bytes ${range.start}-${range.start + range.length - 1}/${version.sizeBytes}`
        : undefined,
    },
    content: { lengthBytes, body },
  }
}

function redirect({ origin }: WebsiteVisit, { status, protocol, hostName, key }: Redirect): S3Answer {
  const [ownProtocol = 'http', ownHost = ''] = origin.split('://')
  return {
    status,
    headers: { location: `${protocol ?? ownProtocol}://${hostName ?? ownHost}/${urlEncode(key)}` },
  }
}

function errorPage({ ctx, key, bucketName }: WebsiteVisit, error: S3Error): S3Answer {
  const title = `${error.status} ${STATUS_TEXT[error.status] ?? 'Error'}`
  const facts: readonly (readonly [string, string])[] = [
    ['Code', error.s3Code],
    ['Message', error.message],
    ...(error.s3Code === 'NoSuchBucket' || error.s3Code === 'NoSuchWebsiteConfiguration'
      ? [['BucketName', bucketName] as const]
      : [['Key', key] as const]),
    ['RequestId', ctx.request.id],
  ]
  const list = facts.map(([name, value]) => `<li>${name}: ${escapeXml(value)}</li>`).join('\n')
  return {
    status: error.status,
    headers: { ...error.headers, 'content-type': 'text/html; charset=utf-8' },
    text: `<!DOCTYPE html>\n<html>\n<head><title>${title}</title></head>\n<body>\n<h1>${title}</h1>\n<ul>\n${list}\n</ul>\n</body>\n</html>\n`,
  }
}
