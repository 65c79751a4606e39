/** Conditional requests (RFC 9110, section 13; S3 user guide, "Conditional requests"). Pure. */
import type { ObjectVersion } from '../../model/object.ts'
import type { Preconditions } from '../../store/objects.ts'

/** Headers as received; undefined = not there. */
export interface ReadConditions {
  ifMatch?: string | undefined
  ifNoneMatch?: string | undefined
  ifModifiedSince?: string | undefined
  ifUnmodifiedSince?: string | undefined
}

export type ReadVerdict = 'go on' | 'not modified' | { failed: 'If-Match' | 'If-Unmodified-Since' }

export function judgeRead(
  { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince }: ReadConditions,
  { etag, modifiedAt }: Pick<ObjectVersion, 'etag' | 'modifiedAt'>,
): ReadVerdict {
  const seconds = Math.floor(modifiedAt.getTime() / 1000)
  const unmodifiedSince = secondsOf(ifUnmodifiedSince)
  const modifiedSince = secondsOf(ifModifiedSince)
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, etag)) return { failed: 'If-Match' }
  } else if (unmodifiedSince !== null && seconds > unmodifiedSince) return { failed: 'If-Unmodified-Since' }
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, etag) ? 'not modified' : 'go on'
  return modifiedSince !== null && seconds <= modifiedSince ? 'not modified' : 'go on'
}

/** Whether a range may be answered: If-Range names this very version, by its ETag or its time. */
export function rangeStillHolds(
  ifRange: string | undefined,
  { etag, modifiedAt }: Pick<ObjectVersion, 'etag' | 'modifiedAt'>,
): boolean {
  if (ifRange === undefined) return true
  const seconds = secondsOf(ifRange)
  if (seconds !== null) return Math.floor(modifiedAt.getTime() / 1000) <= seconds
  return bare(ifRange) === etag
}

/** What a write's preconditions say of what is current, to spare a body that would be refused; publishing decides. */
export function judgeWrite(
  { ifMatch, ifNoneMatch }: Preconditions,
  current: Pick<ObjectVersion, 'etag'> | null,
): 'go on' | 'no_such_key' | 'If-Match' | 'If-None-Match' {
  const hits = (etags: readonly string[]) => current !== null && (etags.includes('*') || etags.includes(current.etag))
  if (ifMatch && current === null) return 'no_such_key'
  if (ifMatch && !hits(ifMatch)) return 'If-Match'
  return ifNoneMatch && hits(ifNoneMatch) ? 'If-None-Match' : 'go on'
}

const matches = (header: string, etag: string): boolean => {
  const etags = etagsOf(header)
  return etags.includes('*') || etags.includes(etag)
}

/** ETags of a list, quoted or bare. Ours hold neither commas nor quotes. */
export const etagsOf = (header: string): string[] => header.split(',').map(bare)

const bare = (etag: string): string =>
  etag
    .trim()
    .replace(/^W\//, '')
    .replace(/^"(.*)"$/, '$1')

/** Null when it is no date: such a condition is ignored. */
function secondsOf(date: string | undefined): number | null {
  // RFC 9110's three forms all begin with the day's name; Date.parse would take much more for a date.
  if (date === undefined || !/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(date)) return null
  const time = Date.parse(/GMT$|[+-]\d{4}$/.test(date) ? date : `${date} GMT`)
  return Number.isNaN(time) ? null : Math.floor(time / 1000)
}
