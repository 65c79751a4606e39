/** Object lock: the bucket's rule, an object's retention and its legal hold, as XML. */
import {
  type DefaultRetention,
  RETENTION_DAYS_MAX,
  RETENTION_MODES,
  RETENTION_YEARS_MAX,
  type Retention,
  type RetentionMode,
} from '../../model/object-lock.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as bucketSettings from '../../services/buckets/settings.ts'
import * as objectSettings from '../../services/object-settings.ts'
import { parseInstant } from './object-headers.ts'
import type { BucketOperation, ObjectOperation } from './operation.ts'
import { objectRef } from './version.ts'
import { group, leaf, resultXml } from './xml.ts'
import {
  allowOnly,
  findChild,
  findText,
  getChild,
  getText,
  integerOf,
  malformed,
  parseXml,
  type XmlElement,
} from './xml-parse.ts'

export const objectLockOperations: readonly (BucketOperation | ObjectOperation)[] = [
  {
    name: 'GetObjectLockConfiguration',
    on: 'bucket',
    method: 'GET',
    query: ['object-lock'],
    action: 's3:GetBucketObjectLockConfiguration',
    async run({ bucket }) {
      const { objectLock } = bucket.settings
      if (!objectLock) {
        throw new S3Error('ObjectLockConfigurationNotFoundError', undefined, { elements: { BucketName: bucket.name } })
      }
      return { xml: presentRule(objectLock.defaultRetention) }
    },
  },
  {
    name: 'PutObjectLockConfiguration',
    on: 'bucket',
    method: 'PUT',
    query: ['object-lock'],
    action: 's3:PutBucketObjectLockConfiguration',
    body: 'document',
    async run(call) {
      await bucketSettings.putObjectLock(call.ctx, call.bucket, parseRule(await call.document()))
      return { status: 200 }
    },
  },
  {
    name: 'GetObjectRetention',
    on: 'object',
    method: 'GET',
    query: ['retention'],
    action: 's3:GetObjectRetention',
    async run(call) {
      objectSettings.checkObjectLock(call.bucket)
      const { retention } = await objectSettings.get(call.ctx, objectRef(call), 's3:GetObjectRetention')
      if (!retention) throw new S3Error('NoSuchObjectLockConfiguration')
      return {
        xml: resultXml('Retention', [leaf('Mode', retention.mode), leaf('RetainUntilDate', retention.until)]),
      }
    },
  },
  {
    name: 'PutObjectRetention',
    on: 'object',
    method: 'PUT',
    query: ['retention'],
    action: 's3:PutObjectRetention',
    body: 'document',
    async run(call) {
      await objectSettings.putRetention(call.ctx, objectRef(call), parseRetention(await call.document()))
      return { status: 200 }
    },
  },
  {
    name: 'GetObjectLegalHold',
    on: 'object',
    method: 'GET',
    query: ['legal-hold'],
    action: 's3:GetObjectLegalHold',
    async run(call) {
      objectSettings.checkObjectLock(call.bucket)
      const { legalHold } = await objectSettings.get(call.ctx, objectRef(call), 's3:GetObjectLegalHold')
      return { xml: resultXml('LegalHold', [leaf('Status', legalHold ? 'ON' : 'OFF')]) }
    },
  },
  {
    name: 'PutObjectLegalHold',
    on: 'object',
    method: 'PUT',
    query: ['legal-hold'],
    action: 's3:PutObjectLegalHold',
    body: 'document',
    async run(call) {
      const root = parseXml(await call.document(), 'LegalHold')
      allowOnly(root, ['Status'])
      const status = getText(root, 'Status').trim()
      if (status !== 'ON' && status !== 'OFF') throw malformed(`Status is ${status}`)
      await objectSettings.putLegalHold(call.ctx, objectRef(call), status === 'ON')
      return { status: 200 }
    },
  },
]

const presentRule = (rule: DefaultRetention | undefined): string =>
  resultXml('ObjectLockConfiguration', [
    leaf('ObjectLockEnabled', 'Enabled'),
    ...(rule
      ? [
          group('Rule', [
            group('DefaultRetention', [leaf('Mode', rule.mode), leaf('Days', rule.days), leaf('Years', rule.years)]),
          ]),
        ]
      : []),
  ])

function parseRule(document: Uint8Array): DefaultRetention | undefined {
  const root = parseXml(document, 'ObjectLockConfiguration')
  allowOnly(root, ['ObjectLockEnabled', 'Rule'])
  if (getText(root, 'ObjectLockEnabled').trim() !== 'Enabled') throw malformed('ObjectLockEnabled')
  const rule = findChild(root, 'Rule')
  if (!rule) return undefined
  allowOnly(rule, ['DefaultRetention'])
  const retention = getChild(rule, 'DefaultRetention')
  allowOnly(retention, ['Mode', 'Days', 'Years'])
  const [days, years] = [findChild(retention, 'Days'), findChild(retention, 'Years')]
  if ((days === undefined) === (years === undefined)) throw malformed('Days and Years exclude each other')
  const mode = modeOf(retention)
  if (days) return { mode, days: period(days, RETENTION_DAYS_MAX) }
  return { mode, years: period(years as XmlElement, RETENTION_YEARS_MAX) }
}

function period(element: XmlElement, max: number): number {
  const length = integerOf(element)
  if (length <= 0) throw new S3Error('InvalidArgument', 'Default retention period must be a positive integer value.')
  if (length > max) throw new S3Error('InvalidArgument', 'Default retention period too large.')
  return length
}

/** Null = an empty one, which takes the retention away. */
function parseRetention(document: Uint8Array): Retention | null {
  const root = parseXml(document, 'Retention')
  allowOnly(root, ['Mode', 'RetainUntilDate'])
  if (root.children.length === 0) return null
  const mode = modeOf(root)
  const until = parseInstant(getText(root, 'RetainUntilDate').trim())
  if (until === null) throw malformed('RetainUntilDate')
  return { mode, until }
}

function modeOf(element: XmlElement): RetentionMode {
  const text = findText(element, 'Mode')?.trim()
  const mode = RETENTION_MODES.find((known) => known === text)
  if (!mode) throw malformed(`Mode is ${text}`)
  return mode
}
