/**
 * Uploads from a browser's form (S3 API reference, "POST Object"): a signed policy says what may be uploaded, the
 * fields before the file say what it is, the file streams.
 */
import { type IncomingBody, KEY_MAX_BYTES } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import { put } from '../../services/objects/put.ts'
import type { S3Caller, S3Ctx } from '../../services/s3-ctx.ts'
import { readExpected } from './checksum-headers.ts'
import { readEncryption } from './encryption-headers.ts'
import { boundaryOf, type Form, readForm } from './form-data.ts'
import { type RequestHeaders, readHeaders } from './headers.ts'
import { checksumHeaders } from './object-answer.ts'
import { type HeaderSource, readObjectHeaders } from './object-headers.ts'
import type { BucketCall, BucketOperation, S3Answer } from './operation.ts'
import { checkPostPolicy, parsePostPolicy, type SizeRange } from './post-policy.ts'
import { parseTags } from './tagging.ts'
import { readWriteConditions } from './write-conditions.ts'
import { leaf, resultXml, urlEncode } from './xml.ts'

const ANY_SIZE: SizeRange = { min: 0, max: Number.MAX_SAFE_INTEGER }

export const postObject: BucketOperation = {
  name: 'PostObject',
  method: 'POST',
  on: 'bucket',
  action: 'itself',
  body: 'stream',
  checksumOf: 'object', // of the file, and in the form's fields
  async run(call) {
    const form = await readForm(call.body.bytes, boundaryOf(call.header('content-type')))
    const fields = fieldsOf(form, call.bucket.name)
    const key = keyOf(fields)
    const policy = fields.get('policy')
    const signed = policy === undefined ? null : await allowedBy(policy, fields, call)
    const headers = headersOf(form)
    const ctx = contextOf(call.ctx, headers, signed?.caller)
    const source = headerSource(headers)
    const tagging = fields.get('tagging')
    const wish = readObjectHeaders(source)
    const result = await put(ctx, call.bucket, key, {
      wish: tagging === undefined ? wish : { ...wish, tags: parseTags(Buffer.from(tagging), 'object') },
      encryption: readEncryption({ ctx, ...source }),
      preconditions: readWriteConditions(source),
      body: () => fileOf(form, headers, signed?.range ?? ANY_SIZE),
    })
    return answerOf(call, key, fields, result)
  },
}

/** What a bucket policy asks about are the form's fields, because they are what takes effect. */
function contextOf(ctx: S3Ctx, fields: RequestHeaders, signer: S3Caller | undefined): S3Ctx {
  const header = (name: string) => (name.startsWith('x-amz-') ? fields.get(name) : ctx.request.header(name))
  return { ...ctx, caller: signer ?? ctx.caller, request: { ...ctx.request, header } }
}

/** Values as text. The bucket counts as a field, because policies speak of it. */
function fieldsOf({ fields, file }: Form, bucketName: string): Map<string, string> {
  const found = new Map(fields.map(({ name, value }) => [name, value.toString('utf8')]))
  const bucket = found.get('bucket')
  if (bucket !== undefined && bucket !== bucketName) {
    throw new S3Error('InvalidArgument', 'The bucket of the form is not that of the address.')
  }
  found.set('bucket', bucketName)
  const key = found.get('key')
  // Browsers of old send the whole path of the file.
  const fileName = file.fileName.replace(/^.*[\\/]/s, '')
  if (key !== undefined)
    found.set(
      'key',
      key.replaceAll(`$\{filename}`, () => fileName),
    )
  return found
}

function keyOf(fields: ReadonlyMap<string, string>): string {
  const key = fields.get('key')
  if (!key) {
    throw new S3Error(
      'InvalidArgument',
      'Bucket POST must contain a field named ’key’. If it is specified, please check the order of the fields.',
    )
  }
  if (Buffer.byteLength(key) > KEY_MAX_BYTES) throw new S3Error('KeyTooLongError')
  if (key.includes('\0') || key.includes('\ufffd')) throw new S3Error('InvalidArgument', 'The key is not valid UTF-8.')
  return key
}

/** Who signed the policy, and how long the file may be. */
async function allowedBy(policy: string, fields: ReadonlyMap<string, string>, call: BucketCall) {
  if (fields.has('awsaccesskeyid') || fields.has('signature')) {
    throw new S3Error('InvalidRequest', 'Please use AWS4-HMAC-SHA256.')
  }
  if (fields.has('x-amz-security-token')) throw new S3Error('InvalidToken')
  const [algorithm, credential, date, signature] = ['algorithm', 'credential', 'date', 'signature'].map((name) => {
    const value = fields.get(`x-amz-${name}`)
    if (value) return value
    throw new S3Error('AccessDenied', `The form has a policy and lacks x-amz-${name}.`)
  }) as [string, string, string, string]
  const caller = await call.signerOf({ policy, algorithm, credential, date, signature })
  return { caller, range: checkPostPolicy(parsePostPolicy(policy), fields, new Date()) }
}

/** Fields under the names of the headers that they stand for, one character per byte as headers have it. */
const headersOf = ({ fields }: Form): RequestHeaders =>
  readHeaders(fields.flatMap(({ name, value }) => [name === 'acl' ? 'x-amz-acl' : name, value.toString('latin1')]))

const headerSource = (headers: RequestHeaders): HeaderSource => ({
  header: headers.get,
  headersUnder: headers.under,
})

function fileOf({ file }: Form, headers: RequestHeaders, { min, max }: SizeRange): IncomingBody {
  async function* within(): AsyncGenerator<Buffer> {
    let total = 0
    for await (const chunk of file.bytes) {
      total += chunk.length
      if (total > max) throw refusal('EntityTooLarge', total, 'MaxSizeAllowed', max)
      yield chunk
    }
    if (total < min) throw refusal('EntityTooSmall', total, 'MinSizeAllowed', min)
  }
  return { bytes: within(), sizeBytes: null, expected: readExpected(headers, []), trailer: () => null }
}

const refusal = (code: 'EntityTooLarge' | 'EntityTooSmall', total: number, bound: string, bytes: number) =>
  new S3Error(code, undefined, { elements: { ProposedSize: String(total), [bound]: String(bytes) } })

function answerOf(
  call: BucketCall,
  key: string,
  fields: ReadonlyMap<string, string>,
  result: Awaited<ReturnType<typeof put>>,
): S3Answer {
  const { name } = call.bucket
  const etag = `"${result.etag}"`
  const location = `${call.origin}/${urlEncode(name)}/${urlEncode(key)}`
  const headers = {
    etag,
    location,
    'x-amz-version-id': result.versionId,
    ...checksumHeaders(result.checksum),
  }
  const redirect = redirectTo(fields.get('success_action_redirect') ?? fields.get('redirect'), {
    bucket: name,
    key,
    etag,
  })
  if (redirect) return { status: 303, headers: { ...headers, location: redirect } }
  switch (fields.get('success_action_status')) {
    case '200':
      return { status: 200, headers }
    case '201':
      return {
        status: 201,
        headers,
        xml: resultXml('PostResponse', [
          leaf('Location', location),
          leaf('Bucket', name),
          leaf('Key', key),
          leaf('ETag', etag),
        ]),
      }
    default:
      return { status: 204, headers }
  }
}

/** Null when it is no address a browser could go to; S3 then answers as if it were not there. */
function redirectTo(text: string | undefined, query: Record<string, string>): string | null {
  if (text === undefined || !URL.canParse(text)) return null
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return null
  for (const [name, value] of Object.entries(query)) url.searchParams.append(name, value)
  return url.href
}
