/**
 * What this server does not do. Tools that keep infrastructure ask for all of it on every refresh, so reading answers
 * that it is not set; writing is refused, unless it sets what holds anyway.
 */
import type { S3Action } from '../../model/s3-action.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { BucketOperation, Method, ObjectOperation } from './operation.ts'
import { leaf, resultXml } from './xml.ts'
import { allowOnly, findText, parseXml, type XmlElement } from './xml-parse.ts'

/** One setting of a bucket: what reading it answers, and which document it may be written with. */
interface Stub {
  name: string
  query: string
  action: S3Action
  putAction: S3Action
  root: string
  answer: string
  isDefault(document: XmlElement): boolean
}

const STUBS: readonly Stub[] = [
  {
    name: 'RequestPayment',
    query: 'requestPayment',
    action: 's3:GetBucketRequestPayment',
    putAction: 's3:PutBucketRequestPayment',
    root: 'RequestPaymentConfiguration',
    answer: resultXml('RequestPaymentConfiguration', [leaf('Payer', 'BucketOwner')]),
    isDefault(document) {
      allowOnly(document, ['Payer'])
      return findText(document, 'Payer')?.trim() === 'BucketOwner'
    },
  },
  {
    name: 'Logging',
    query: 'logging',
    action: 's3:GetBucketLogging',
    putAction: 's3:PutBucketLogging',
    root: 'BucketLoggingStatus',
    answer: resultXml('BucketLoggingStatus', []),
    isDefault: (document) => document.children.length === 0,
  },
  {
    name: 'AccelerateConfiguration',
    query: 'accelerate',
    action: 's3:GetAccelerateConfiguration',
    putAction: 's3:PutAccelerateConfiguration',
    root: 'AccelerateConfiguration',
    answer: resultXml('AccelerateConfiguration', []),
    isDefault(document) {
      allowOnly(document, ['Status'])
      return findText(document, 'Status')?.trim() === 'Suspended'
    },
  },
  {
    name: 'NotificationConfiguration',
    query: 'notification',
    action: 's3:GetBucketNotification',
    putAction: 's3:PutBucketNotification',
    root: 'NotificationConfiguration',
    answer: resultXml('NotificationConfiguration', []),
    isDefault: (document) => document.children.length === 0,
  },
]

const stubOperations = STUBS.flatMap(
  ({ name, query, action, putAction, root, answer, isDefault }): BucketOperation[] => [
    {
      name: `GetBucket${name}`,
      on: 'bucket',
      method: 'GET',
      query: [query],
      action,
      run: async () => ({ xml: answer }),
    },
    {
      name: `PutBucket${name}`,
      on: 'bucket',
      method: 'PUT',
      query: [query],
      action: putAction,
      body: 'document',
      async run(call) {
        if (!isDefault(parseXml(await call.document(), root))) throw notImplemented()
        return { status: 200 }
      },
    },
  ],
)

/** Named configurations of which a bucket could have many. */
const LISTS: readonly (readonly [name: string, query: string, action: S3Action, putAction: S3Action, root: string])[] =
  [
    [
      'Analytics',
      'analytics',
      's3:GetAnalyticsConfiguration',
      's3:PutAnalyticsConfiguration',
      'ListBucketAnalyticsConfigurationResult',
    ],
    [
      'Inventory',
      'inventory',
      's3:GetInventoryConfiguration',
      's3:PutInventoryConfiguration',
      'ListInventoryConfigurationsResult',
    ],
    [
      'Metrics',
      'metrics',
      's3:GetMetricsConfiguration',
      's3:PutMetricsConfiguration',
      'ListMetricsConfigurationsResult',
    ],
    [
      'IntelligentTiering',
      'intelligent-tiering',
      's3:GetIntelligentTieringConfiguration',
      's3:PutIntelligentTieringConfiguration',
      'ListBucketIntelligentTieringConfigurationsOutput',
    ],
  ]

const listOperations = LISTS.flatMap(([name, query, action, putAction, root]): BucketOperation[] => [
  {
    name: `GetBucket${name}Configuration`,
    on: 'bucket',
    method: 'GET',
    query: [query],
    action,
    async run(call) {
      if (call.query('id') !== undefined) throw new S3Error('NoSuchConfiguration')
      return { xml: resultXml(root, [leaf('IsTruncated', false)]) }
    },
  },
  { ...refused(`PutBucket${name}Configuration`, 'PUT', query, putAction), on: 'bucket' },
  {
    name: `DeleteBucket${name}Configuration`,
    on: 'bucket',
    method: 'DELETE',
    query: [query],
    action: putAction,
    async run() {
      throw new S3Error('NoSuchConfiguration')
    },
  },
])

const replicationOperations: readonly BucketOperation[] = [
  {
    name: 'GetBucketReplication',
    on: 'bucket',
    method: 'GET',
    query: ['replication'],
    action: 's3:GetReplicationConfiguration',
    async run() {
      throw new S3Error('ReplicationConfigurationNotFoundError')
    },
  },
  { ...refused('PutBucketReplication', 'PUT', 'replication', 's3:PutReplicationConfiguration'), on: 'bucket' },
  {
    name: 'DeleteBucketReplication',
    on: 'bucket',
    method: 'DELETE',
    query: ['replication'],
    action: 's3:PutReplicationConfiguration',
    run: async () => ({ status: 204 }),
  },
]

const refusedOperations: readonly (BucketOperation | ObjectOperation)[] = [
  { ...refused('CreateSession', 'GET', 'session', 's3:ListBucket'), on: 'bucket' },
  { ...refused('GetObjectTorrent', 'GET', 'torrent', 's3:GetObject'), on: 'object' },
  { ...refused('SelectObjectContent', 'POST', 'select', 's3:GetObject'), on: 'object' },
  { ...refused('RestoreObject', 'POST', 'restore', 's3:PutObject'), on: 'object' },
  { ...refused('RenameObject', 'PUT', 'renameObject', 's3:PutObject'), on: 'object' },
]

export const otherOperations: readonly (BucketOperation | ObjectOperation)[] = [
  ...stubOperations,
  ...listOperations,
  ...replicationOperations,
  ...refusedOperations,
]

function refused(name: string, method: Method, query: string, action: S3Action) {
  return {
    name,
    method,
    query: [query],
    action,
    async run(): Promise<never> {
      throw notImplemented()
    },
  }
}

const notImplemented = () => new S3Error('NotImplemented')
