/** Lifecycle rules as XML (S3 API, "PutBucketLifecycleConfiguration"). Who applies them is jobs/expire-objects.ts. */
import { LIFECYCLE_RULES_MAX, type LifecycleRule } from '../../model/lifecycle.ts'
import { S3Error } from '../../model/s3-error.ts'
import { type Tags, tagsOf } from '../../model/tags.ts'
import * as settings from '../../services/buckets/settings.ts'
import { parseInstant } from './object-headers.ts'
import type { BucketOperation } from './operation.ts'
import { group, leaf, resultXml, type Xml } from './xml.ts'
import {
  allowOnly,
  booleanOf,
  childrenOf,
  findChild,
  findText,
  getChild,
  getText,
  integerOf,
  malformed,
  parseXml,
  type XmlElement,
} from './xml-parse.ts'

export const lifecycleOperations: readonly BucketOperation[] = [
  {
    name: 'GetBucketLifecycleConfiguration',
    on: 'bucket',
    method: 'GET',
    query: ['lifecycle'],
    action: 's3:GetLifecycleConfiguration',
    async run({ bucket }) {
      const { lifecycle } = bucket.settings
      if (!lifecycle) {
        throw new S3Error('NoSuchLifecycleConfiguration', undefined, { elements: { BucketName: bucket.name } })
      }
      return { xml: resultXml('LifecycleConfiguration', lifecycle.map(presentRule)), headers: TRANSITION_SIZE }
    },
  },
  {
    name: 'PutBucketLifecycleConfiguration',
    on: 'bucket',
    method: 'PUT',
    query: ['lifecycle'],
    action: 's3:PutLifecycleConfiguration',
    body: 'document',
    async run(call) {
      checkTransitionSize(call.header(TRANSITION_HEADER))
      await settings.put(call.ctx, call.bucket, 'lifecycle', parseLifecycle(await call.document()))
      return { status: 200, headers: TRANSITION_SIZE }
    },
  },
  {
    name: 'DeleteBucketLifecycle',
    on: 'bucket',
    method: 'DELETE',
    query: ['lifecycle'],
    action: 's3:PutLifecycleConfiguration',
    async run({ ctx, bucket }) {
      await settings.remove(ctx, bucket, 'lifecycle')
      return { status: 204 }
    },
  },
]

/** Which objects are too small to move; nothing moves here, but tools wait to read back what they wrote. */
const TRANSITION_HEADER = 'x-amz-transition-default-minimum-object-size'
const TRANSITION_SIZE = { [TRANSITION_HEADER]: 'all_storage_classes_128K' }

function checkTransitionSize(size: string | undefined): void {
  if (size === undefined || size === TRANSITION_SIZE[TRANSITION_HEADER]) return
  throw new S3Error(size === 'varies_by_storage_class' ? 'NotImplemented' : 'InvalidArgument')
}

function presentRule(rule: LifecycleRule): Xml {
  const { expiration, noncurrentExpiration: noncurrent, abortIncompleteUploadDays } = rule
  return group('Rule', [
    leaf('ID', rule.id),
    rule.hasOldPrefix ? leaf('Prefix', rule.filter.prefix ?? '') : presentFilter(rule.filter),
    leaf('Status', rule.isEnabled ? 'Enabled' : 'Disabled'),
    ...(expiration
      ? [
          group('Expiration', [
            leaf('Days', 'days' in expiration ? expiration.days : null),
            leaf('Date', 'date' in expiration ? expiration.date : null),
            leaf('ExpiredObjectDeleteMarker', 'expiredObjectDeleteMarker' in expiration ? true : null),
          ]),
        ]
      : []),
    ...(noncurrent
      ? [
          group('NoncurrentVersionExpiration', [
            leaf('NoncurrentDays', noncurrent.days),
            leaf('NewerNoncurrentVersions', noncurrent.newerNoncurrentVersions),
          ]),
        ]
      : []),
    ...(abortIncompleteUploadDays === undefined
      ? []
      : [group('AbortIncompleteMultipartUpload', [leaf('DaysAfterInitiation', abortIncompleteUploadDays)])]),
  ])
}

function presentFilter({ prefix, tags = {}, ...size }: LifecycleRule['filter']): Xml {
  const parts = [
    leaf('Prefix', prefix),
    ...Object.entries(tags).map(([key, value]) => group('Tag', [leaf('Key', key), leaf('Value', value)])),
    leaf('ObjectSizeGreaterThan', size.sizeGreaterThanBytes),
    leaf('ObjectSizeLessThan', size.sizeLessThanBytes),
  ].filter((part) => part !== '')
  return group('Filter', parts.length > 1 ? [group('And', parts)] : parts)
}

/** Throws MalformedXML, InvalidArgument, InvalidRequest, or NotImplemented for a transition: there is one tier. */
export function parseLifecycle(document: Uint8Array): LifecycleRule[] {
  const root = parseXml(document, 'LifecycleConfiguration')
  allowOnly(root, ['Rule'])
  const elements = childrenOf(root, 'Rule')
  if (elements.length === 0 || elements.length > LIFECYCLE_RULES_MAX) throw malformed(`${elements.length} rules`)
  const rules = elements.map(parseRule)
  const named = rules.flatMap(({ id }) => (id === '' ? [] : [id]))
  if (new Set(named).size < named.length) {
    throw new S3Error('InvalidArgument', 'Rule ID must be unique. Found same ID for more than one rule')
  }
  let next = 1
  const freeId = () => {
    while (named.includes(`rule-${next}`)) next++
    return `rule-${next++}`
  }
  return rules.map((rule) => (rule.id === '' ? { ...rule, id: freeId() } : rule))
}

function parseRule(element: XmlElement): LifecycleRule {
  if (findChildAny(element, ['Transition', 'NoncurrentVersionTransition'])) {
    throw new S3Error('NotImplemented', 'There is no other storage class that objects could move to.')
  }
  allowOnly(element, [
    'ID',
    'Prefix',
    'Filter',
    'Status',
    'Expiration',
    'NoncurrentVersionExpiration',
    'AbortIncompleteMultipartUpload',
  ])
  const id = findText(element, 'ID') ?? ''
  if (id.length > 255) throw new S3Error('InvalidArgument', 'ID length should not exceed allowed limit of 255')
  const status = getText(element, 'Status').trim()
  if (status !== 'Enabled' && status !== 'Disabled') throw malformed(`Status is ${status}`)
  const [prefix, filter] = [findText(element, 'Prefix'), findChild(element, 'Filter')]
  if ((prefix === undefined) === (filter === undefined)) throw malformed('just one of Prefix and Filter')
  const rule: LifecycleRule = {
    id,
    isEnabled: status === 'Enabled',
    filter: filter ? parseFilter(filter) : { prefix: prefix ?? '' },
    ...(prefix !== undefined && { hasOldPrefix: true }),
    ...parseActions(element),
  }
  check(rule)
  return rule
}

const findChildAny = (element: XmlElement, names: readonly string[]) =>
  element.children.find(({ name }) => names.includes(name))

const FILTERS = ['Prefix', 'Tag', 'ObjectSizeGreaterThan', 'ObjectSizeLessThan']

function parseFilter(element: XmlElement): LifecycleRule['filter'] {
  const and = findChild(element, 'And')
  if (and) {
    allowOnly(element, ['And'])
    allowOnly(and, FILTERS)
    if (and.children.length < 2) throw malformed('And joins at least two')
  } else {
    allowOnly(element, FILTERS)
    if (element.children.length > 1) throw malformed('several filters without And')
  }
  const from = and ?? element
  const prefix = findText(from, 'Prefix')
  const tags = childrenOf(from, 'Tag')
  const above = sizeOf(from, 'ObjectSizeGreaterThan')
  const below = sizeOf(from, 'ObjectSizeLessThan')
  if (above !== undefined && below !== undefined && below <= above) {
    throw new S3Error('InvalidRequest', "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
  }
  return {
    ...(prefix !== undefined && { prefix }),
    ...(tags.length > 0 && { tags: parseTags(tags) }),
    ...(above !== undefined && { sizeGreaterThanBytes: above }),
    ...(below !== undefined && { sizeLessThanBytes: below }),
  }
}

const parseTags = (elements: readonly XmlElement[]): Tags =>
  tagsOf(
    elements.map((tag) => {
      allowOnly(tag, ['Key', 'Value'])
      return [getText(tag, 'Key'), getText(tag, 'Value')] as const
    }),
    'object',
  )

function sizeOf(element: XmlElement, name: string): number | undefined {
  const child = findChild(element, name)
  const size = child && integerOf(child)
  if (size !== undefined && size < 0) throw malformed(`${name} is negative`)
  return size
}

function parseActions(
  element: XmlElement,
): Pick<LifecycleRule, 'expiration' | 'noncurrentExpiration' | 'abortIncompleteUploadDays'> {
  const expiration = findChild(element, 'Expiration')
  const noncurrent = findChild(element, 'NoncurrentVersionExpiration')
  const abort = findChild(element, 'AbortIncompleteMultipartUpload')
  if (abort) allowOnly(abort, ['DaysAfterInitiation'])
  if (!expiration && !noncurrent && !abort) {
    throw new S3Error('InvalidRequest', 'At least one action needs to be specified in a rule')
  }
  return {
    ...(expiration && { expiration: parseExpiration(expiration) }),
    ...(noncurrent && { noncurrentExpiration: parseNoncurrent(noncurrent) }),
    ...(abort && { abortIncompleteUploadDays: positive(getChild(abort, 'DaysAfterInitiation')) }),
  }
}

function parseExpiration(element: XmlElement): NonNullable<LifecycleRule['expiration']> {
  allowOnly(element, ['Days', 'Date', 'ExpiredObjectDeleteMarker'])
  const [only, ...more] = element.children
  if (!only || more.length > 0) throw malformed('just one of Days, Date and ExpiredObjectDeleteMarker')
  if (only.name === 'Days') return { days: positive(only) }
  if (only.name === 'Date') return { date: midnight(getText(element, 'Date').trim()) }
  // `false` says nothing, so there is nothing the rule would do.
  if (!booleanOf(only)) throw malformed('ExpiredObjectDeleteMarker is false')
  return { expiredObjectDeleteMarker: true }
}

function parseNoncurrent(element: XmlElement): NonNullable<LifecycleRule['noncurrentExpiration']> {
  allowOnly(element, ['NoncurrentDays', 'NewerNoncurrentVersions'])
  const newer = findChild(element, 'NewerNoncurrentVersions')
  const newerNoncurrentVersions = newer && positive(newer)
  if (newerNoncurrentVersions !== undefined && newerNoncurrentVersions > 100) {
    throw new S3Error('InvalidArgument', "'NewerNoncurrentVersions' must be at most 100")
  }
  return {
    days: positive(getChild(element, 'NoncurrentDays')),
    ...(newerNoncurrentVersions !== undefined && { newerNoncurrentVersions }),
  }
}

function positive(element: XmlElement): number {
  const days = integerOf(element)
  if (days <= 0 || days > 2 ** 31 - 1) {
    throw new S3Error('InvalidArgument', `'${element.name}' must be a positive integer`)
  }
  return days
}

function midnight(text: string): string {
  const date = parseInstant(text)
  if (date === null) throw malformed('Date')
  if (date.getTime() % 86_400_000 !== 0) throw new S3Error('InvalidArgument', "'Date' must be at midnight GMT")
  return date.toISOString()
}

/** What cannot be combined, because it would be decided by something that the versions concerned do not have. */
function check({ filter, expiration, abortIncompleteUploadDays }: LifecycleRule): void {
  const narrows =
    filter.tags !== undefined || filter.sizeGreaterThanBytes !== undefined || filter.sizeLessThanBytes !== undefined
  if (expiration && 'expiredObjectDeleteMarker' in expiration && narrows) {
    throw new S3Error('InvalidRequest', 'ExpiredObjectDeleteMarker cannot be used with a filter on tags or sizes.')
  }
  if (abortIncompleteUploadDays !== undefined && narrows) {
    throw new S3Error('InvalidRequest', 'AbortIncompleteMultipartUpload cannot be specified with Tags or sizes.')
  }
}
