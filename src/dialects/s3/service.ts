/** Operations on the service itself. */
import { S3Error } from '../../model/s3-error.ts'
import * as buckets from '../../services/s3-buckets.ts'
import type { ServiceCall, ServiceOperation } from './operation.ts'
import { group, leaf, resultXml } from './xml.ts'

const BUCKETS_MAX = 10_000 // fixed by the S3 ListBuckets API

const listBuckets: ServiceOperation = {
  name: 'ListBuckets',
  on: 'service',
  method: 'GET',
  action: 's3:ListAllMyBuckets',
  async run(call) {
    const { ctx } = call
    const prefix = call.query('prefix')
    const region = call.query('bucket-region')
    const page = await buckets.list(ctx, {
      max: maxBuckets(call),
      ...(prefix && { prefix }),
      after: readToken(call.query('continuation-token')),
      isElsewhere: region !== undefined && region !== '' && region !== ctx.settings.regions[0],
    })
    const caller = ctx.caller
    return {
      xml: resultXml('ListAllMyBucketsResult', [
        group('Owner', [leaf('ID', caller?.canonicalId), leaf('DisplayName', caller?.displayName)]),
        group(
          'Buckets',
          page.buckets.map((bucket) =>
            group('Bucket', [
              leaf('Name', bucket.name),
              leaf('CreationDate', bucket.createdAt),
              leaf('BucketRegion', ctx.settings.regions[0]),
            ]),
          ),
        ),
        leaf('ContinuationToken', page.next === null ? null : Buffer.from(page.next).toString('base64url')),
        leaf('Prefix', prefix),
      ]),
    }
  },
}

function maxBuckets(call: ServiceCall): number {
  const text = call.query('max-buckets')
  if (text === undefined || text === '') return BUCKETS_MAX
  const max = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (max >= 1 && max <= BUCKETS_MAX) return max
  throw new S3Error('InvalidArgument', `max-buckets must be between 1 and ${BUCKETS_MAX}.`, {
    elements: { ArgumentName: 'max-buckets', ArgumentValue: text },
  })
}

function readToken(token: string | undefined): string | null {
  if (token === undefined) return null
  const name = Buffer.from(token, 'base64url').toString()
  if (token !== '' && Buffer.from(name).toString('base64url') === token) return name
  throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
    elements: { ArgumentName: 'continuation-token' },
  })
}

export const serviceOperations: readonly ServiceOperation[] = [listBuckets]
