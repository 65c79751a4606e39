/**
 * The shape of an S3 operation. Which request it is, which action a policy must allow and what body it takes are data:
 * the server dispatches by it, and the test suite walks it for every kind of caller.
 */
import type { Writable } from 'node:stream'
import type { Bucket } from '../../model/bucket.ts'
import type { IncomingBody } from '../../model/object.ts'
import type { S3Action } from '../../model/s3-action.ts'
import type { S3Caller, S3Ctx } from '../../services/s3-ctx.ts'
import type { PolicyClaim } from './sigv4.ts'

export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'

interface Matching {
  /** As the S3 API reference names it: `PutObject`. */
  name: string
  method: Method
  /** The subresources whose presence selects it, for example `uploadId` and `partNumber`; none = the plain one. */
  query?: readonly string[]
  /** A header that must be there as well: `x-amz-copy-source`. */
  header?: string
}

interface Taking {
  /** `document` is read whole, up to `documentMaxBytes` (1 MiB); `stream` never is. Default: none. */
  body?: 'none' | 'document' | 'stream'
  documentMaxBytes?: number
  /** `object`: its checksum headers are about the object that it makes, not about its own body. Default: `body`. */
  checksumOf?: 'body' | 'object'
}

/**
 * What the bucket's policy, its ACL and the key must allow, checked before `run`. A function where it depends on the
 * call (a version id). `itself`: its service asks, because it must see more first (the object's tags, a copy's source).
 */
type Allowing<Call> = S3Action | ((call: Call) => S3Action) | 'itself'

export interface ServiceOperation extends Matching, Taking {
  on: 'service'
  action: Allowing<ServiceCall>
  run(call: ServiceCall): Promise<S3Answer>
}
export interface BucketOperation extends Matching, Taking {
  on: 'bucket'
  action: Allowing<BucketCall>
  run(call: BucketCall): Promise<S3Answer>
}
export interface ObjectOperation extends Matching, Taking {
  on: 'object'
  action: Allowing<ObjectCall>
  /** It acts on the remembered bucket and checks the revision itself: one query less for the hot ones. */
  checksRevision?: boolean
  run(call: ObjectCall): Promise<S3Answer>
}
/** CreateBucket: there is no bucket yet. */
export interface NameOperation extends Matching, Taking {
  on: 'bucket-name'
  action: 'itself'
  run(call: NameCall): Promise<S3Answer>
}
export type Operation = ServiceOperation | BucketOperation | ObjectOperation | NameOperation

export interface ServiceCall {
  ctx: S3Ctx
  method: Method
  /** The first value; '' when the name stands there without one, undefined when it does not stand there. */
  query(name: string): string | undefined
  /** The value as received (latin1), repeated headers joined by `,`; the name in lower case. */
  header(name: string): string | undefined
  /** Every header whose name begins so, with the rest of the name. */
  headersUnder(prefix: string): Readonly<Record<string, string>>
  /** The whole body, for `document`; its digests were compared. */
  document(): Promise<Buffer>
  /** For `stream`. Whoever never touches it leaves the body unread. */
  body: IncomingBody
  /** Who signed the policy of a form; throws what a wrong signature does. */
  signerOf(claim: PolicyClaim): Promise<S3Caller>
  /** What else a service needs to know of the wire: the region the request was signed for, null when it was not. */
  signedRegion: string | null
  /** The host the client spoke to, with its scheme, for `Location`. */
  origin: string
}
export interface NameCall extends ServiceCall {
  bucketName: string
}
export interface BucketCall extends ServiceCall {
  bucket: Bucket
}
export interface ObjectCall extends BucketCall {
  key: string
}

export interface S3Answer {
  /** Default 200, or 204 when there is neither `xml`, `text` nor `content` and the method is DELETE. */
  status?: number
  /** Undefined ones are left out. */
  headers?: Readonly<Record<string, string | undefined>>
  /** A whole document, as xml.ts writes it. */
  xml?: string
  /** A document that takes its time: the status goes out at once, white space until it is there, or an <Error>. */
  lateXml?: Promise<string>
  /** Another small body: a policy's JSON, an HTML page; its content type is in `headers`. */
  text?: string
  /** Bytes of an object. Not sent to HEAD, but its length is told. */
  content?: { lengthBytes: number; body: Buffer | SendTo }
}

/** Writes what is too much to hold in memory. */
type SendTo = (target: Writable, signal: AbortSignal) => Promise<void>

/** Somebody looks at a bucket's website: GET or HEAD, and nobody is ever signed in. */
export interface WebsiteVisit {
  ctx: S3Ctx
  method: 'GET' | 'HEAD'
  bucketName: string
  /** The path without its first slash, decoded; '' for the front page. */
  key: string
  header(name: string): string | undefined
  /** Scheme and host as the visitor wrote them. */
  origin: string
}
/** Its errors are pages too, so it throws only what is a bug or an outage. */
export type ShowWebsite = (visit: WebsiteVisit) => Promise<S3Answer>
