/**
 * Which operation a request asks for: by method, by what it is about (service, bucket, object) and by the subresources
 * that stand in its query, whatever their value. A subresource that no operation takes is never ignored, because the
 * request would then mean something else: `PUT /b/k?acl` must not store an object.
 */
import { S3Error } from '../../model/s3-error.ts'
import type { Operation } from './operation.ts'
import type { Query } from './target.ts'

export type Level = 'service' | 'bucket' | 'object'

/** Names that say which operation is meant (Amazon S3 API reference, "Actions"). */
const SUBRESOURCES = new Set([
  'accelerate',
  'acl',
  'analytics',
  'attributes',
  'cors',
  'delete',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'lifecycle',
  'location',
  'logging',
  'metadataConfiguration',
  'metadataTable',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'partNumber',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'renameObject',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'session',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versioning',
  'versions',
  'website',
])

export interface Asked {
  level: Level
  method: string
  query: Query
  hasHeader(name: string): boolean
}

export interface Dispatcher {
  /** Throws MethodNotAllowed with `Allow`, NotImplemented or InvalidArgument. */
  find(asked: Asked): Operation
}

const levelOf = ({ on }: Operation): Level => (on === 'bucket-name' ? 'bucket' : on)
const namesOf = (operation: Operation): readonly string[] => operation.query ?? []

export function createDispatcher(operations: readonly Operation[]): Dispatcher {
  const byLevel = Map.groupBy(operations, levelOf)
  // The most particular first, so that the first that fits is the one.
  for (const list of byLevel.values()) list.sort((a, b) => weight(b) - weight(a))

  return {
    find(asked) {
      const here = byLevel.get(asked.level) ?? []
      const present = asked.query.items.map(([name]) => name).filter((name) => SUBRESOURCES.has(name))
      const fitting = here.filter(
        (operation) =>
          namesOf(operation).every((name) => asked.query.has(name)) &&
          (operation.header === undefined || asked.hasHeader(operation.header)),
      )
      // What GET answers, HEAD answers without its body.
      const methods = asked.method === 'HEAD' ? ['HEAD', 'GET'] : [asked.method]
      const candidates = methods.flatMap((method) => fitting.find((operation) => operation.method === method) ?? [])
      const leftOf = (operation: Operation) => present.filter((name) => !isOf(operation, name))
      const operation = candidates.find((candidate) => leftOf(candidate).length === 0)
      if (operation) return operation
      const [nearest] = candidates
      throw refusal(asked, here, nearest ? leftOf(nearest) : present)
    },
  }
}

const weight = (operation: Operation): number =>
  namesOf(operation).length * 2 + (operation.header === undefined ? 0 : 1)

/** GET and HEAD of an object take `partNumber` as a parameter. */
const isOf = (operation: Operation, name: string): boolean =>
  namesOf(operation).includes(name) ||
  (name === 'partNumber' && operation.on === 'object' && (operation.method === 'GET' || operation.method === 'HEAD'))

function refusal({ method, query }: Asked, here: readonly Operation[], left: readonly string[]): S3Error {
  const taking = left.length === 0 ? here.filter((operation) => namesOf(operation).length === 0) : []
  const ofThese =
    left.length > 0 ? here.filter((operation) => namesOf(operation).some((name) => left.includes(name))) : []
  if (left.length > 0 && ofThese.length === 0) {
    return new S3Error('NotImplemented', `This service does not implement ?${left[0]}.`)
  }
  const possible = (left.length > 0 ? ofThese : taking).filter((operation) =>
    namesOf(operation).every((name) => query.has(name)),
  )
  const methods = new Set<string>(possible.map((operation) => operation.method))
  if (methods.has('GET')) methods.add('HEAD')
  if (methods.has(method) || possible.length === 0) {
    return new S3Error('InvalidArgument', 'The combination of query parameters is not valid for this request.')
  }
  return new S3Error('MethodNotAllowed', undefined, {
    headers: { allow: [...methods].sort().join(', ') },
    elements: { Method: method },
  })
}
