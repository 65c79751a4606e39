/** A request as an operation sees it: its words looked up, its body opened only when somebody wants it. */
import type { IncomingBody } from '../../model/object.ts'
import type { S3Ctx } from '../../services/s3-ctx.ts'
import { readDocument } from './document.ts'
import type { RequestHeaders } from './headers.ts'
import type { Method, Operation, ServiceCall } from './operation.ts'
import type { Query } from './target.ts'

const DOCUMENT_MAX_BYTES = 1024 * 1024

export interface Words {
  header(name: string): string | undefined
  headersUnder(prefix: string): Record<string, string>
}

/** Those of a presigned URL that sign it, or that SDKs put there and the service ignores. */
const NOT_A_HEADER =
  /^x-amz-(?:algorithm|credential|date|expires|signedheaders|signature|security-token|content-sha256|sdk-checksum-algorithm|checksum-(?:crc32|crc32c|crc64nvme|sha1|sha256))$/

/**
 * Headers, and the `x-amz-…` parameters of the query, which act like the header of that name. `aws-chunked` is no
 * encoding of the object but of the request, so nobody sees it.
 */
export function readWords(headers: RequestHeaders, query: Query): Words {
  const fromQuery = new Map<string, string>()
  for (const [name, value] of query.items) {
    if (!/^x-amz-/i.test(name)) continue
    const lower = name.toLowerCase()
    // As headers have it: one character per byte.
    if (!NOT_A_HEADER.test(lower)) fromQuery.set(lower, Buffer.from(value).toString('latin1'))
  }
  return {
    header(name) {
      if (name === 'content-encoding') return contentEncoding(headers.get(name))
      return headers.get(name) ?? fromQuery.get(name)
    },
    headersUnder(prefix) {
      const inQuery = [...fromQuery].filter(([name]) => name.startsWith(prefix))
      return {
        ...Object.fromEntries(inQuery.map(([name, value]) => [name.slice(prefix.length), value])),
        ...headers.under(prefix),
      }
    },
  }
}

function contentEncoding(text: string | undefined): string | undefined {
  if (text === undefined || !/aws-chunked/i.test(text)) return text
  const kept = text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '' && one.toLowerCase() !== 'aws-chunked')
  return kept.length === 0 ? undefined : kept.join(',')
}

export interface CallParts {
  ctx: S3Ctx
  operation: Operation
  method: Method
  query: Query
  words: Words
  /** Throws for a body that nobody announced the length of. */
  openBody(): IncomingBody
  signerOf: ServiceCall['signerOf']
  signedRegion: string | null
  origin: string
}

export function createCall({
  ctx,
  operation,
  method,
  query,
  words,
  openBody,
  signerOf,
  signedRegion,
  origin,
}: CallParts): ServiceCall {
  let body: IncomingBody | undefined
  return {
    ctx,
    method,
    query: (name) => query.get(name),
    header: words.header,
    headersUnder: words.headersUnder,
    document: () => readDocument(openBody(), operation.documentMaxBytes ?? DOCUMENT_MAX_BYTES),
    get body() {
      body ??= openBody()
      return body
    },
    signerOf,
    signedRegion,
    origin,
  }
}
