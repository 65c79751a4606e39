/** Buckets themselves: what there is, making one, dropping it, where it lies. */
import { isBucketName } from '../../model/bucket.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as buckets from '../../services/buckets/buckets.ts'
import { aclOfHeaders } from './acl.ts'
import type { BucketOperation, NameOperation, ServiceOperation } from './operation.ts'
import { escapeXml, group, leaf, resultXml, urlEncode, type Xml } from './xml.ts'
import { findText, parseXml } from './xml-parse.ts'

const BUCKETS_PAGE_MAX = 10_000 // Amazon S3 API reference, "ListBuckets"

export const listBuckets: ServiceOperation = {
  name: 'ListBuckets',
  on: 'service',
  method: 'GET',
  action: 's3:ListAllMyBuckets',
  async run({ ctx, query }) {
    const { caller, settings } = ctx
    if (!caller) throw new S3Error('AccessDenied')
    const prefix = query('prefix') ?? ''
    const region = query('bucket-region')
    const page = { prefix, after: readToken(query('continuation-token')), limit: readMax(query('max-buckets')) }
    const isElsewhere = region !== undefined && !settings.regions.includes(region)
    const found = isElsewhere ? { buckets: [], isMore: false } : await buckets.listRaw(ctx, page)
    const last = found.isMore ? found.buckets.at(-1) : undefined
    return {
      xml: resultXml('ListAllMyBucketsResult', [
        group('Owner', [leaf('ID', caller.canonicalId), leaf('DisplayName', caller.displayName)]),
        group(
          'Buckets',
          found.buckets.map((bucket) =>
            group('Bucket', [
              leaf('Name', bucket.name),
              leaf('CreationDate', bucket.createdAt),
              leaf('BucketRegion', settings.regions[0]),
            ]),
          ),
        ),
        leaf('Prefix', query('prefix')),
        leaf('ContinuationToken', last && writeToken(last.name)),
      ]),
    }
  },
}

const writeToken = (name: string) => Buffer.from(name).toString('base64url')

function readToken(token: string | undefined): string | undefined {
  if (token === undefined) return undefined
  const name = Buffer.from(token, 'base64url').toString()
  if (isBucketName(name) && writeToken(name) === token) return name
  throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
    elements: { ArgumentName: 'continuation-token', ArgumentValue: token },
  })
}

function readMax(text: string | undefined): number {
  if (text === undefined) return BUCKETS_PAGE_MAX
  const max = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (max >= 1 && max <= BUCKETS_PAGE_MAX) return max
  throw new S3Error('InvalidArgument', `max-buckets must be between 1 and ${BUCKETS_PAGE_MAX}`, {
    elements: { ArgumentName: 'max-buckets', ArgumentValue: text },
  })
}

export const createBucket: NameOperation = {
  name: 'CreateBucket',
  on: 'bucket-name',
  method: 'PUT',
  action: 'itself',
  body: 'document',
  async run(call) {
    const { ctx, bucketName: name, header } = call
    const constraint = readConstraint(await call.document())
    try {
      await buckets.createRaw(ctx, {
        name,
        constraint,
        acl: aclOfHeaders(header),
        ownership: readChoice(header('x-amz-object-ownership'), 'x-amz-object-ownership', OWNERSHIPS),
        hasLock: readFlag(header('x-amz-bucket-object-lock-enabled')),
      })
    } catch (error) {
      // In us-east-1, and nowhere else, making one's own bucket once more is a success (API reference, "CreateBucket").
      const isAgain = error instanceof S3Error && error.s3Code === 'BucketAlreadyOwnedByYou'
      if (!isAgain || call.signedRegion !== 'us-east-1') throw error
    }
    return { status: 200, headers: { location: `/${urlEncode(name)}` } }
  },
}

/** '' when the body is empty or names no place. */
function readConstraint(body: Buffer): string {
  if (body.length === 0) return ''
  const root = parseXml(body, 'CreateBucketConfiguration')
  for (const { name } of root.children) {
    if (name !== 'LocationConstraint') throw new S3Error('NotImplemented', `CreateBucket cannot take ${name}.`)
  }
  return findText(root, 'LocationConstraint') ?? ''
}

function readFlag(text: string | undefined): boolean {
  if (text === undefined || text.toLowerCase() === 'false') return false
  if (text.toLowerCase() === 'true') return true
  throw new S3Error('InvalidArgument', 'x-amz-bucket-object-lock-enabled is true or false')
}

const OWNERSHIPS = ['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'] as const

function readChoice<T extends string>(text: string | undefined, name: string, choices: readonly T[]): T | undefined {
  const choice = choices.find((it) => it === text)
  if (text === undefined || choice !== undefined) return choice
  throw new S3Error('InvalidArgument', undefined, { elements: { ArgumentName: name, ArgumentValue: text } })
}

export const headBucket: BucketOperation = {
  name: 'HeadBucket',
  on: 'bucket',
  method: 'HEAD',
  action: 's3:ListBucket',
  run: async ({ ctx }) => ({ headers: { 'x-amz-bucket-region': ctx.settings.regions[0] } }),
}

export const deleteBucket: BucketOperation = {
  name: 'DeleteBucket',
  on: 'bucket',
  method: 'DELETE',
  action: 's3:DeleteBucket',
  async run({ ctx, bucket }) {
    await buckets.removeRaw(ctx, bucket)
    return { status: 204 }
  },
}

/** Clients sign with what they read here, so it is never the product's name of the place. us-east-1 has no word. */
export const getBucketLocation: BucketOperation = {
  name: 'GetBucketLocation',
  on: 'bucket',
  method: 'GET',
  query: ['location'],
  action: 's3:GetBucketLocation',
  async run({ ctx }) {
    const [region] = ctx.settings.regions
    return { xml: resultXml('LocationConstraint', region === 'us-east-1' ? [] : [escapeXml(region) as Xml]) }
  },
}
