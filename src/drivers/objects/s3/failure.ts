/** What went wrong with the cluster, as an error of the cloud that names the cluster's own request id. */
import { CloudError } from '../../../model/errors.ts'
import { firstText } from './xml.ts'

/** The cluster answered, but not what was asked for. */
export class ClusterRefusal extends Error {
  readonly status: number
  /** Of its error document; '' when it sent none. */
  readonly code: string
  constructor(what: string, status: number, requestId: string, text: string) {
    const code = firstText(text, 'Code') ?? ''
    const message = firstText(text, 'Message') ?? ''
    super(
      `${what}: the cluster answered ${[status, code, message].join(' ').trimEnd()} (request ${requestId || 'unnamed'})`,
    )
    this.name = 'ClusterRefusal'
    this.status = status
    this.code = code
  }
}

const FULL = new Set(['QuotaExceeded', 'InsufficientStorage', 'XMinioStorageFull', 'EntityTooLarge'])
const OURS = new Set(['NoSuchBucket', 'AccessDenied', 'InvalidAccessKeyId', 'SignatureDoesNotMatch'])

/** Always `unavailable`: nothing that whoever called us could have done otherwise. */
export function asCloudError(error: unknown): CloudError {
  if (error instanceof CloudError) return error
  if (!(error instanceof ClusterRefusal)) {
    const why = error instanceof Error ? error.message : String(error)
    return new CloudError('unavailable', `the storage cluster is away (${why})`, { cause: error })
  }
  const isFull = error.status === 507 || FULL.has(error.code)
  const isOurs = OURS.has(error.code) || error.status === 403
  const message = isFull
    ? 'the object store is full'
    : isOurs
      ? `the storage cluster does not let Havn in (${error.code || error.status})`
      : `the storage cluster failed (${error.code || error.status})`
  return new CloudError('unavailable', message, { cause: error })
}

/** Worth another try: the connection broke, or the cluster said that it is busy. */
export const isPassing = (error: unknown): boolean =>
  error instanceof ClusterRefusal ? error.status >= 500 && error.status !== 507 && error.status !== 501 : true
