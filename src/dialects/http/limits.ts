/**
 * Rate limits: token buckets in the memory of one API process, so several processes allow as many times more; they are
 * there to keep one caller from drowning the others, not to be billed by. Memory is bounded: a full table first forgets
 * the buckets that are full again (forgetting those changes nothing), then the oldest.
 */
import { CloudError } from '../../model/errors.ts'

export interface Limits {
  /** Requests a second, and how many at once after a pause. */
  perKey: number
  perKeyBurst: number
  /** Creates a second. */
  createsPerKey: number
  failedLoginsPerMinute: number
}

export interface Budget {
  limit: number
  remaining: number
  /** Until the bucket is full again. */
  resetSeconds: number
  /** Zero when the call was allowed. */
  retryAfterSeconds: number
}

const BUCKETS_MAX = 50_000

export class Buckets {
  readonly #perSecond: number
  readonly #size: number
  readonly #clock: () => number
  readonly #buckets = new Map<string, { tokens: number; at: number }>()

  /** `clock` in milliseconds; only tests give it. */
  constructor(perSecond: number, size: number, clock: () => number = () => performance.now()) {
    this.#perSecond = perSecond
    this.#size = Math.max(1, size)
    this.#clock = clock
  }

  get size(): number {
    return this.#buckets.size
  }

  /** Takes one token if there is one. */
  take(key: string): Budget {
    const now = this.#clock()
    const bucket = this.#buckets.get(key) ?? this.#add(key, now)
    bucket.tokens = Math.min(this.#size, bucket.tokens + ((now - bucket.at) / 1000) * this.#perSecond)
    bucket.at = now
    const isAllowed = bucket.tokens >= 1
    if (isAllowed) bucket.tokens -= 1
    return {
      limit: this.#size,
      remaining: Math.floor(bucket.tokens),
      resetSeconds: Math.ceil((this.#size - bucket.tokens) / this.#perSecond),
      retryAfterSeconds: isAllowed ? 0 : Math.max(1, Math.ceil((1 - bucket.tokens) / this.#perSecond)),
    }
  }

  #add(key: string, now: number): { tokens: number; at: number } {
    if (this.#buckets.size >= BUCKETS_MAX) this.#forget(now)
    const bucket = { tokens: this.#size, at: now }
    this.#buckets.set(key, bucket)
    return bucket
  }

  #forget(now: number): void {
    const fullAfterMs = (this.#size / this.#perSecond) * 1000
    for (const [key, { at }] of this.#buckets) if (now - at >= fullAfterMs) this.#buckets.delete(key)
    for (const key of this.#buckets.keys()) {
      if (this.#buckets.size < BUCKETS_MAX / 2) break
      this.#buckets.delete(key)
    }
  }
}

export function createLimits({ perKey, perKeyBurst, createsPerKey, failedLoginsPerMinute }: Limits) {
  return {
    /** By key id. */
    keys: new Buckets(perKey, perKeyBurst),
    /** By address, for calls without a known key. */
    addresses: new Buckets(perKey, perKeyBurst),
    /** By key id. */
    creates: new Buckets(createsPerKey, createsPerKey),
    /** By address. */
    failedLogins: new Buckets(failedLoginsPerMinute / 60, failedLoginsPerMinute),
  }
}

export function spend(budget: Budget, what: string): Budget {
  if (budget.retryAfterSeconds === 0) return budget
  throw new CloudError('rate_limited', `too many ${what}, try again in ${budget.retryAfterSeconds} s`, {
    retryAfterSeconds: budget.retryAfterSeconds,
  })
}

/** draft-ietf-httpapi-ratelimit-headers, version 03: the form that clients in the field read. */
export const limitHeaders = ({ limit, remaining, resetSeconds }: Budget): Record<string, string> => ({
  'ratelimit-limit': String(limit),
  'ratelimit-remaining': String(remaining),
  'ratelimit-reset': String(resetSeconds),
})
