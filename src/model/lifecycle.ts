/**
 * What a bucket throws away by itself, and when (S3 user guide, "Managing the lifecycle of objects"). Days are counted
 * from a moment and rounded up to the next midnight UTC, so that a rule's work falls on one hour a day.
 */
export interface LifecycleRule {
  id: string
  isEnabled: boolean
  filter: {
    prefix?: string
    tags?: Readonly<Record<string, string>>
    sizeGreaterThanBytes?: number
    sizeLessThanBytes?: number
  }
  /** The rule came with the old top-level Prefix, and is shown so. */
  hasOldPrefix?: boolean
  expiration?: { days: number } | { date: string } | { expiredObjectDeleteMarker: true }
  noncurrentExpiration?: { days: number; newerNoncurrentVersions?: number }
  abortIncompleteUploadDays?: number
}

export const LIFECYCLE_RULES_MAX = 1000 // S3 API, "PutBucketLifecycleConfiguration"

/** A version, with what its place among the versions of its key decides. */
export interface AgingVersion {
  key: string
  sizeBytes: number
  tags: Readonly<Record<string, string>>
  modifiedAt: Date
  isLatest: boolean
  isDeleteMarker: boolean
  /** When the next newer version was made; null for the latest. */
  noncurrentSince: Date | null
  /** How many noncurrent versions of the key are newer. */
  newerNoncurrentVersions: number
  /** There is no other version of the key. */
  isOnly: boolean
}

/** `expire`: as a client's plain delete. `remove`: this very version. */
export type Fate = 'keep' | 'expire' | 'remove'

export function fateOf(rules: readonly LifecycleRule[], version: AgingVersion, now: Date): Fate {
  for (const rule of rules) {
    if (!rule.isEnabled || !matches(rule, version)) continue
    const { isLatest, isDeleteMarker, isOnly } = version
    if (!isLatest) {
      const at = noncurrentEnd(rule, version)
      if (at !== null && at <= now) return 'remove'
    } else if (!isDeleteMarker) {
      const at = currentEnd(rule, version)
      if (at !== null && at <= now) return 'expire'
    } else if (isOnly) {
      const at = markerEnd(rule, version)
      if (at !== null && at <= now) return 'remove'
    }
  }
  return 'keep'
}

/** The `x-amz-expiration` header of a current object: the rule that comes first. */
export function expirationHeader(
  rules: readonly LifecycleRule[],
  object: Pick<AgingVersion, 'key' | 'sizeBytes' | 'tags' | 'modifiedAt'>,
): string | undefined {
  let first: { at: Date; id: string } | undefined
  for (const rule of rules) {
    if (!rule.isEnabled || !matches(rule, { ...object, isDeleteMarker: false })) continue
    const at = currentEnd(rule, object)
    if (at && (first === undefined || at < first.at)) first = { at, id: rule.id }
  }
  return first && `expiry-date="${first.at.toUTCString()}", rule-id="${encodeURIComponent(first.id)}"`
}

/** Whether an upload that is still under way has been so for too long. */
export const isUploadOverdue = (
  rules: readonly LifecycleRule[],
  upload: { key: string; startedAt: Date },
  now: Date,
): boolean =>
  rules.some(
    ({ isEnabled, filter, abortIncompleteUploadDays: days }) =>
      isEnabled &&
      days !== undefined &&
      upload.key.startsWith(filter.prefix ?? '') &&
      midnightAfter(upload.startedAt, days) <= now,
  )

/** The prefixes under which the enabled rules can mean anything, none within another. */
export function prefixesOf(rules: readonly LifecycleRule[]): string[] {
  const prefixes = [...new Set(rules.flatMap(({ isEnabled, filter }) => (isEnabled ? [filter.prefix ?? ''] : [])))]
  return prefixes.filter((prefix) => !prefixes.some((other) => other !== prefix && prefix.startsWith(other)))
}

/** A delete marker has neither tags nor a size, so a rule that asks for them does not mean it. */
function matches(
  { filter }: LifecycleRule,
  { key, sizeBytes, tags, isDeleteMarker }: Pick<AgingVersion, 'key' | 'sizeBytes' | 'tags' | 'isDeleteMarker'>,
): boolean {
  const { prefix = '', sizeGreaterThanBytes, sizeLessThanBytes } = filter
  if (!key.startsWith(prefix)) return false
  if (isDeleteMarker) {
    return filter.tags === undefined && sizeGreaterThanBytes === undefined && sizeLessThanBytes === undefined
  }
  return (
    (sizeGreaterThanBytes === undefined || sizeBytes > sizeGreaterThanBytes) &&
    (sizeLessThanBytes === undefined || sizeBytes < sizeLessThanBytes) &&
    Object.entries(filter.tags ?? {}).every(([name, value]) => Object.hasOwn(tags, name) && tags[name] === value)
  )
}

function currentEnd({ expiration }: LifecycleRule, { modifiedAt }: Pick<AgingVersion, 'modifiedAt'>): Date | null {
  if (expiration === undefined || 'expiredObjectDeleteMarker' in expiration) return null
  return 'days' in expiration ? midnightAfter(modifiedAt, expiration.days) : new Date(expiration.date)
}

/** A marker that hides nothing goes at once when the rule says so, else when it has the age of an object that would. */
const markerEnd = (rule: LifecycleRule, version: AgingVersion): Date | null =>
  rule.expiration && 'expiredObjectDeleteMarker' in rule.expiration ? version.modifiedAt : currentEnd(rule, version)

function noncurrentEnd({ noncurrentExpiration }: LifecycleRule, version: AgingVersion): Date | null {
  if (noncurrentExpiration === undefined || version.noncurrentSince === null) return null
  const { days, newerNoncurrentVersions = 0 } = noncurrentExpiration
  if (version.newerNoncurrentVersions < newerNoncurrentVersions) return null
  return midnightAfter(version.noncurrentSince, days)
}

const DAY_MS = 86_400_000

const midnightAfter = (from: Date, days: number): Date => {
  const at = Math.ceil(from.getTime() / DAY_MS + days) * DAY_MS
  return new Date(Math.min(at, 8.64e15)) // what a Date can hold; a rule may count two billion days
}
