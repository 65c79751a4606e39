/**
 * One request, from its head to the answer of its operation. The order of checks is the order in which clients and
 * attackers may learn something: syntax of request line and credentials, signature, operation, bucket, authorisation,
 * body's headers, then the operation's own. No byte of a body is read before all of these are through.
 */
import type { IncomingMessage } from 'node:http'
import type { Bucket } from '../../model/bucket.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { BackupImages } from '../../services/backups/images.ts'
import { authorize } from '../../services/buckets/access.ts'
import { refuseOtherOwner } from '../../services/buckets/owners.ts'
import type { S3Caller, S3Ctx } from '../../services/s3-ctx.ts'
import { downloadBackup, isBackupDownload } from './backup-download.ts'
import { createCall, readWords, type Words } from './call.ts'
import { preflight } from './cross-origin.ts'
import type { Dispatcher } from './dispatch.ts'
import type { RequestHeaders } from './headers.ts'
import type { Method, Operation, S3Answer, ServiceCall, ShowWebsite } from './operation.ts'
import { openBody, readPayload } from './payload.ts'
import { refuseUnknownHeaders } from './refused-headers.ts'
import type { Verified, Verifier } from './sigv4.ts'
import type { Target } from './target.ts'

/** What of a request's context does not change from one to the next. */
export type S3Parts = Omit<S3Ctx, 'caller' | 'request'>

export interface HandleParts {
  parts: S3Parts
  verifier: Verifier
  dispatcher: Dispatcher
  showWebsite: ShowWebsite | undefined
  backupImages: BackupImages | undefined
}

export interface Incoming {
  id: string
  message: IncomingMessage
  headers: RequestHeaders
  target: Target
  isSecure: boolean
  bytes: AsyncIterable<Buffer>
}

/** What became known on the way; for the log, for what is counted, and for whoever takes a slot. */
export interface Trace {
  operation: Operation | null
  caller: S3Caller | null
  bucket: Bucket | null
}

export async function handle(inside: HandleParts, incoming: Incoming, trace: Trace): Promise<S3Answer> {
  const { parts, verifier, dispatcher } = inside
  const { target, headers, message } = incoming
  const method = message.method ?? ''
  if (method === 'OPTIONS') return preflight(parts.buckets, target, headers)
  if (target.style === 'website') return visit(inside, incoming)
  if (isBackupDownload(target)) {
    return downloadBackup(inside.backupImages, target, method, readWords(headers, target.query), parts.reading)
  }
  const verified = await verifier.verify({ method, target, headers })
  trace.caller = verified?.caller ?? null
  const words = readWords(headers, target.query)
  const operation = dispatcher.find({
    level: target.bucket === null ? 'service' : target.key === null ? 'bucket' : 'object',
    method,
    query: target.query,
    hasHeader: (name) => words.header(name) !== undefined,
  })
  trace.operation = operation
  refuseUnknownHeaders(method, words)
  const ctx = contextOf(parts, incoming, words, trace.caller)
  const call = callOf(ctx, operation, incoming, words, {
    verified,
    signerOf: async (claim) => {
      const { caller } = await verifier.verifyPolicy(claim)
      trace.caller = caller
      return caller
    },
  })
  return run(operation, call, target, trace)
}

function visit({ parts, showWebsite }: HandleParts, incoming: Incoming): Promise<S3Answer> {
  const { target, headers, message } = incoming
  const { method } = message
  if (!showWebsite) throw new S3Error('NotImplemented')
  if (method !== 'GET' && method !== 'HEAD') {
    throw new S3Error('MethodNotAllowed', undefined, { headers: { allow: 'GET, HEAD' } })
  }
  const words = readWords(headers, target.query)
  return showWebsite({
    ctx: contextOf(parts, incoming, words, null),
    method,
    bucketName: target.bucket as string,
    key: target.key ?? '',
    header: words.header,
    origin: originOf(parts, incoming),
  })
}

const originOf = ({ settings }: S3Parts, { isSecure, headers }: Incoming): string =>
  `${isSecure ? 'https' : 'http'}://${headers.get('host') ?? settings.url}`

function contextOf(parts: S3Parts, incoming: Incoming, words: Words, caller: S3Caller | null): S3Ctx {
  const { id, message, target, isSecure } = incoming
  return {
    ...parts,
    caller,
    request: {
      id,
      sourceIp: addressOf(message),
      isSecure,
      header: words.header,
      query: (name) => target.query.get(name),
    },
  }
}

export const addressOf = ({ socket }: IncomingMessage): string =>
  (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')

function callOf(
  ctx: S3Ctx,
  operation: Operation,
  incoming: Incoming,
  words: Words,
  { verified, signerOf }: { verified: Verified | null; signerOf: ServiceCall['signerOf'] },
): ServiceCall {
  const { message, headers, target, bytes } = incoming
  return createCall({
    ctx,
    operation,
    method: message.method as Method,
    query: target.query,
    words,
    openBody() {
      const payload = readPayload({
        headers,
        payloadHash: verified?.payloadHash ?? null,
        chunks: verified?.chunks ?? null,
        checksumOf: operation.checksumOf ?? 'body',
      })
      // A document without any length is one that was left out.
      const isMissing = payload.sizeBytes === null && operation.body !== 'stream' && !headers.get('transfer-encoding')
      return openBody(isMissing ? { ...payload, sizeBytes: 0 } : payload, bytes)
    },
    signerOf,
    signedRegion: verified?.region ?? null,
    origin: originOf(ctx, incoming),
  })
}

async function run(operation: Operation, call: ServiceCall, target: Target, trace: Trace): Promise<S3Answer> {
  const { ctx } = call
  // Onto the call itself: a copy would open its body, which is an accessor.
  const extended = <More extends object>(more: More) => Object.assign(call, more)
  switch (operation.on) {
    case 'service':
      if (operation.action !== 'itself' && ctx.caller === null) throw new S3Error('AccessDenied')
      return operation.run(call)
    case 'bucket-name':
      return operation.run(extended({ bucketName: target.bucket as string }))
    case 'bucket': {
      const bucket = await ctx.buckets.fresh(target.bucket as string)
      trace.bucket = bucket
      const bucketCall = extended({ bucket })
      await refuseOtherOwner(ctx, bucket, call.header('x-amz-expected-bucket-owner'))
      if (operation.action !== 'itself') {
        const action = typeof operation.action === 'function' ? operation.action(bucketCall) : operation.action
        authorize(ctx, { action, bucket, key: null })
      }
      return operation.run(bucketCall)
    }
    case 'object': {
      const name = target.bucket as string
      const bucket = operation.checksRevision ? await ctx.buckets.get(name) : await ctx.buckets.fresh(name)
      trace.bucket = bucket
      const key = target.key as string
      const objectCall = extended({ bucket, key })
      await refuseOtherOwner(ctx, bucket, call.header('x-amz-expected-bucket-owner'))
      if (operation.action !== 'itself') {
        const action = typeof operation.action === 'function' ? operation.action(objectCall) : operation.action
        authorize(ctx, { action, bucket, key })
      }
      return operation.run(objectCall)
    }
  }
}
