/** Cross-origin rules as XML (S3 API, "PutBucketCors"). */
import { CORS_METHODS, CORS_RULES_MAX, type CorsRule } from '../../model/cors.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as settings from '../../services/buckets/settings.ts'
import type { BucketOperation } from './operation.ts'
import { group, leaf, resultXml } from './xml.ts'
import {
  allowOnly,
  childrenOf,
  findChild,
  findText,
  integerOf,
  malformed,
  parseXml,
  textOf,
  type XmlElement,
} from './xml-parse.ts'

export const corsOperations: readonly BucketOperation[] = [
  {
    name: 'GetBucketCors',
    on: 'bucket',
    method: 'GET',
    query: ['cors'],
    action: 's3:GetBucketCORS',
    async run({ bucket }) {
      const { cors } = bucket.settings
      if (!cors) throw new S3Error('NoSuchCORSConfiguration', undefined, { elements: { BucketName: bucket.name } })
      return { xml: resultXml('CORSConfiguration', cors.map(presentRule)) }
    },
  },
  {
    name: 'PutBucketCors',
    on: 'bucket',
    method: 'PUT',
    query: ['cors'],
    action: 's3:PutBucketCORS',
    body: 'document',
    async run(call) {
      await settings.put(call.ctx, call.bucket, 'cors', parseCors(await call.document()))
      return { status: 200 }
    },
  },
  {
    name: 'DeleteBucketCors',
    on: 'bucket',
    method: 'DELETE',
    query: ['cors'],
    action: 's3:PutBucketCORS',
    async run({ ctx, bucket }) {
      await settings.remove(ctx, bucket, 'cors')
      return { status: 204 }
    },
  },
]

const presentRule = (rule: CorsRule) =>
  group('CORSRule', [
    leaf('ID', rule.id),
    ...rule.allowedOrigins.map((origin) => leaf('AllowedOrigin', origin)),
    ...rule.allowedMethods.map((method) => leaf('AllowedMethod', method)),
    ...rule.allowedHeaders.map((name) => leaf('AllowedHeader', name)),
    leaf('MaxAgeSeconds', rule.maxAgeSeconds),
    ...rule.exposeHeaders.map((name) => leaf('ExposeHeader', name)),
  ])

const ID_MAX = 255

function parseCors(document: Uint8Array): CorsRule[] {
  const root = parseXml(document, 'CORSConfiguration')
  allowOnly(root, ['CORSRule'])
  const rules = childrenOf(root, 'CORSRule').map(parseRule)
  if (rules.length === 0 || rules.length > CORS_RULES_MAX) throw malformed(`${rules.length} rules`)
  const ids = rules.flatMap(({ id }) => id ?? [])
  if (new Set(ids).size < ids.length) throw new S3Error('InvalidRequest', 'RuleIds must be unique')
  return rules
}

function parseRule(element: XmlElement): CorsRule {
  allowOnly(element, ['ID', 'AllowedOrigin', 'AllowedMethod', 'AllowedHeader', 'ExposeHeader', 'MaxAgeSeconds'])
  const texts = (name: string) => childrenOf(element, name).map((child) => textOf(child).trim())
  const id = findText(element, 'ID')
  if (id !== undefined && id.length > ID_MAX) throw malformed('ID is too long')
  const maxAge = findChild(element, 'MaxAgeSeconds')
  const maxAgeSeconds = maxAge && integerOf(maxAge)
  if (maxAgeSeconds !== undefined && (maxAgeSeconds < 0 || maxAgeSeconds > 2 ** 31)) throw malformed('MaxAgeSeconds')
  const rule = {
    ...(id && { id }),
    allowedOrigins: texts('AllowedOrigin'),
    allowedMethods: texts('AllowedMethod'),
    allowedHeaders: texts('AllowedHeader'),
    exposeHeaders: texts('ExposeHeader'),
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
  }
  if (rule.allowedOrigins.length === 0 || rule.allowedMethods.length === 0) throw malformed('no origin or no method')
  check(rule)
  return rule
}

function check({ allowedOrigins, allowedMethods, allowedHeaders, exposeHeaders }: CorsRule): void {
  const refuse = (message: string) => {
    throw new S3Error('InvalidRequest', message)
  }
  for (const method of allowedMethods) {
    if (!CORS_METHODS.some((known) => known === method)) {
      refuse(`Found unsupported HTTP method in CORS config. Unsupported method is ${method}`)
    }
  }
  for (const [name, patterns] of [
    ['AllowedOrigin', allowedOrigins],
    ['AllowedHeader', allowedHeaders],
  ] as const) {
    const wrong = patterns.find((pattern) => pattern.split('*').length > 2)
    if (wrong !== undefined) refuse(`${name} "${wrong}" can not have more than one wildcard.`)
    if (patterns.some((pattern) => pattern === '' || !isPrintable(pattern))) refuse(`${name} is not valid.`)
  }
  // They go out as headers, so what is no name of one is refused here.
  const wrong = exposeHeaders.find((name) => !/^[\w!#$%&'*+.^`|~-]+$/.test(name) || name.includes('*'))
  if (wrong !== undefined) refuse(`ExposeHeader "${wrong}" is not valid.`)
}

const isPrintable = (text: string) => /^[\x21-\x7e]+$/.test(text)
