/** Who asks for what through the S3 protocol, and what serves it; the first argument of every object service. */
import type { ObjectsDriver } from '../drivers/objects/objects.ts'
import type { Hashing } from '../lib/hashing/hashing.ts'
import type { Bucket, StorageTier } from '../model/bucket.ts'
import type { AccountId } from '../model/ids.ts'
import type { Db } from '../store/db.ts'

export interface S3Caller {
  accountId: AccountId
  /** As ARNs name it: `arn:aws:iam::10001:root`. */
  accountNumber: number
  /** 64 hex digits that follow from the account; what owners and grantees are named by. */
  canonicalId: string
  displayName: string
  accessKeyId: string
  /** What this key may at most; the account may more. */
  isReadOnly: boolean
  /** The only buckets it opens; null = all of the account's. */
  buckets: readonly string[] | null
}

/** Facts of the request that policies ask about. */
export interface S3Request {
  id: string
  sourceIp: string
  isSecure: boolean
  /** The first value of a header, its name in lower case. */
  header(name: string): string | undefined
  /** The value of a query parameter; '' when it is there without one. */
  query(name: string): string | undefined
}

export interface S3Settings {
  /** What clients sign with: the first is what we say, the others are accepted as well. */
  regions: readonly [string, ...string[]]
  /** The product's names of the place buckets lie in; the first is the default. */
  locations: readonly [string, ...string[]]
  defaultTier: StorageTier
  bucketNameReuse: 'never' | 'owner'
  /** Seals access keys, and data keys of objects that we encrypt. */
  masterKey: Buffer
  /** Without a scheme: `host:port` or the public name; what `Location` elements begin with. */
  url: string
  allowCustomerKeysOverHttp: boolean
}

export interface S3Ctx {
  db: Db
  objects: ObjectsDriver
  hashing: Hashing
  /** Null = nobody: an anonymous request. */
  caller: S3Caller | null
  request: S3Request
  settings: S3Settings
  buckets: BucketMemory
  /** Marks a body that is being sent, so that nothing it still needs is removed; call the result when it is done. */
  reading(): () => void
  /** What operators should see: damage, not a client's mistakes. */
  warn(message: string, error?: unknown): void
}

/** The buckets a process remembers. Whoever acts on a memory checks its revision in the query that it makes anyway. */
export interface BucketMemory {
  /** Remembered, or read. Throws NoSuchBucket. */
  get(name: string): Promise<Bucket>
  /** Read now. Throws NoSuchBucket. */
  fresh(name: string): Promise<Bucket>
  forget(name: string): void
}
