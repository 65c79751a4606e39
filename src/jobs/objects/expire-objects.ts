/**
 * Applies the lifecycle rules of buckets. It remembers nothing: each round walks what the rules can mean, a page at a
 * time, and deletes what is due through the same functions as clients do, so versioning, locks, quotas and counters hold.
 * Killed at any moment, the next round goes on with what is left; two at once do no harm to one another.
 */
import { type AgingVersion, fateOf, isUploadOverdue, prefixesOf } from '../../model/lifecycle.ts'
import { type Db, now } from '../../store/db.ts'
import * as expiry from '../../store/expiry.ts'
import * as multipart from '../../store/multipart.ts'
import type { Reconciler } from '../engine/reconciler.ts'

const BUCKETS_PAGE = 100
const VERSIONS_PAGE = 1000
const DELETE_AT_ONCE = 100 // each key is a lock of the transaction
const UPLOADS_PAGE = 500

export const expireObjects = (everyMs: number): Reconciler<{ db: Db }> => ({
  name: 'expire-objects',
  everyMs,
  async run({ db }, signal) {
    let after = 0
    for (;;) {
      const buckets = await expiry.bucketsWithRules(db, after, BUCKETS_PAGE)
      for (const bucket of buckets) {
        signal.throwIfAborted()
        await expireIn(db, bucket, signal)
        after = bucket.number
      }
      if (buckets.length < BUCKETS_PAGE) return
    }
  },
})

async function expireIn(db: Db, bucket: expiry.BucketWithRules, signal: AbortSignal): Promise<void> {
  const time = await now(db)
  if (bucket.rules.some(({ isEnabled, abortIncompleteUploadDays: days }) => isEnabled && days !== undefined)) {
    await abortUploads(db, bucket, time, signal)
  }
  if (
    !bucket.rules.some(
      ({ isEnabled, expiration, noncurrentExpiration }) => isEnabled && (expiration || noncurrentExpiration),
    )
  ) {
    return
  }
  for (const prefix of prefixesOf(bucket.rules)) {
    if (!(await expireUnder(db, bucket, prefix, time, signal))) return // its rules have changed: next round
  }
}

/** False = the bucket is not as it was read. */
async function expireUnder(
  db: Db,
  bucket: expiry.BucketWithRules,
  prefix: string,
  time: Date,
  signal: AbortSignal,
): Promise<boolean> {
  let place: expiry.Place = null
  let newer: expiry.WalkedVersion | null = null
  let noncurrent = 0
  for (;;) {
    // One more than is judged, to see whether the last one's key has another.
    const seen: expiry.WalkedVersion[] = await expiry.walkVersions(db, bucket.number, prefix, place, VERSIONS_PAGE + 1)
    const page = seen.slice(0, VERSIONS_PAGE)
    const due: expiry.Expiry[] = []
    for (const [index, version] of page.entries()) {
      if (newer?.key !== version.key) {
        newer = null
        noncurrent = 0
      }
      const aging: AgingVersion = {
        ...version,
        noncurrentSince: newer?.modifiedAt ?? null,
        newerNoncurrentVersions: noncurrent,
        isOnly: newer === null && seen[index + 1]?.key !== version.key,
      }
      const fate = fateOf(bucket.rules, aging, time)
      if (fate !== 'keep') due.push({ ...version, fate, wasLatest: version.isLatest })
      if (!version.isLatest) noncurrent++
      newer = version
    }
    for (let from = 0; from < due.length; from += DELETE_AT_ONCE) {
      signal.throwIfAborted()
      const done = await expiry.expire(db, bucket, due.slice(from, from + DELETE_AT_ONCE))
      if (done === undefined) return false
    }
    if (seen.length <= VERSIONS_PAGE) return true
    place = page.at(-1) ?? null
  }
}

async function abortUploads(
  db: Db,
  { number, rules }: expiry.BucketWithRules,
  time: Date,
  signal: AbortSignal,
): Promise<void> {
  let after = { key: '', id: '' }
  for (;;) {
    const page = await expiry.walkUploads(db, number, time, after, UPLOADS_PAGE)
    for (const { key, id, startedAt } of page) {
      signal.throwIfAborted()
      if (isUploadOverdue(rules, { key, startedAt }, time)) await multipart.abort(db, { bucketNumber: number, key, id })
      after = { key, id }
    }
    if (page.length < UPLOADS_PAGE) return
  }
}
