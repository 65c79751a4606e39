/** Buckets as resources: the S3 protocol, the Storage API and the native API make, list and delete the same ones. */
import type { AclWish } from '../../model/acl.ts'
import {
  type Bucket,
  type BucketSettings,
  DEFAULT_TIER,
  isBucketName,
  type StorageTier,
  type Versioning,
} from '../../model/bucket.ts'
import { CloudError, invalidField, notFound } from '../../model/errors.ts'
import type { AccountId } from '../../model/ids.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as accounts from '../../store/accounts.ts'
import * as hours from '../../store/bucket-hours.ts'
import * as buckets from '../../store/buckets.ts'
import { atomically, type Db } from '../../store/db.ts'
import * as events from '../../store/events.ts'
import * as tiers from '../../store/storage-tiers.ts'
import { allow, type Ctx, visibleAccount } from '../ctx.ts'
import type { S3Ctx, S3Settings } from '../s3-ctx.ts'
import { storagePlaces } from '../storage-places.ts'
import { keyReaches } from './access.ts'
import { resolveAcl } from './acls.ts'
import { isOpenToAll } from './public-bucket.ts'

/** What every account may have that nobody set a number for. */
export const BUCKETS_MAX = 1000

export interface NewBucket {
  name: string
  tier?: StorageTier
  location?: string
  versioning?: Versioning
  settings?: BucketSettings
}

type Place = Required<Pick<NewBucket, 'tier' | 'location'>>

/** Throws InvalidBucketName, BucketAlreadyOwnedByYou, BucketAlreadyExists or TooManyBuckets. */
function make(db: Db, accountId: AccountId, wish: NewBucket & Place, reusesNames: boolean) {
  if (!isBucketName(wish.name))
    throw new S3Error('InvalidBucketName', undefined, { elements: { BucketName: wish.name } })
  return atomically(db, async (tx) => {
    const bucket = await buckets.insert(
      tx,
      {
        name: wish.name,
        accountId,
        tier: wish.tier,
        location: wish.location,
        versioning: wish.versioning ?? 'off',
        settings: wish.settings ?? {},
      },
      reusesNames,
    )
    if (bucket === 'own')
      throw new S3Error('BucketAlreadyOwnedByYou', undefined, { elements: { BucketName: wish.name } })
    if (bucket === 'burnt')
      throw taken(wish.name, 'The name was used before, and names of deleted buckets are not given again.')
    if (bucket === 'other') throw taken(wish.name)
    await refuseTooMany(tx, accountId)
    await events.emit(tx, { accountId, kind: 'bucket.created', resourceId: bucket.id, data: { name: bucket.name } })
    return bucket
  })
}

const taken = (name: string, message?: string) =>
  new S3Error('BucketAlreadyExists', message, { elements: { BucketName: name } })

/** With the new one counted. Creations of one account follow one another, so that none slips through. */
async function refuseTooMany(tx: Db, accountId: AccountId): Promise<void> {
  await accounts.lock(tx, accountId)
  const { buckets: max } = await accounts.quota(tx, accountId)
  if ((await buckets.count(tx, accountId)) > (max ?? BUCKETS_MAX)) throw new S3Error('TooManyBuckets')
}

/** Throws BucketNotEmpty, or NoSuchBucket when somebody was faster. */
function take(db: Db, bucket: Bucket): Promise<void> {
  return atomically(db, async (tx) => {
    const outcome = await buckets.remove(tx, bucket)
    if (outcome === 'not empty') {
      throw new S3Error('BucketNotEmpty', undefined, { elements: { BucketName: bucket.name } })
    }
    if (outcome === 'gone') throw new S3Error('NoSuchBucket', undefined, { elements: { BucketName: bucket.name } })
    const { accountId, id, name } = bucket
    await events.emit(tx, { accountId, kind: 'bucket.deleted', resourceId: id, data: { name } })
  })
}

// ---- through the S3 protocol

export interface RawWish {
  name: string
  /** As LocationConstraint gives it; clients say their signing region or the place, '' = nothing. */
  constraint: string
  acl: AclWish | undefined
  ownership: BucketSettings['ownership'] | undefined
  hasLock: boolean
}

export async function createRaw(ctx: S3Ctx, wish: RawWish): Promise<Bucket> {
  const { caller, settings } = ctx
  if (!caller || !keyReaches(caller, 's3:CreateBucket', wish.name)) throw new S3Error('AccessDenied')
  const { name, ownership, hasLock } = wish
  const location = locationOf(settings, wish.constraint)
  const owners = { ownerId: caller.accountId, bucketOwnerId: caller.accountId }
  const acl = wish.acl && (await resolveAcl(ctx.db, {}, owners, wish.acl))
  if (acl && ownership === 'BucketOwnerEnforced') throw new S3Error('InvalidBucketAclWithObjectOwnership')
  const bucket = await make(
    ctx.db,
    caller.accountId,
    {
      name,
      tier: settings.defaultTier,
      location,
      // A bucket with object lock keeps versions from its first object on.
      versioning: hasLock ? 'enabled' : 'off',
      settings: { ...(acl && { acl }), ...(ownership && { ownership }), ...(hasLock && { objectLock: {} }) },
    },
    settings.bucketNameReuse === 'owner',
  )
  ctx.buckets.forget(bucket.name)
  return bucket
}

function locationOf({ locations, regions }: S3Settings, constraint: string): string {
  if (['', ...regions, ...locations].includes(constraint)) return locations[0]
  throw new S3Error('InvalidLocationConstraint', undefined, { elements: { LocationConstraint: constraint } })
}

export interface RawPage {
  prefix: string
  after: string | undefined
  limit: number
}

/** The caller's own, by name; a key that opens only some of them sees those. One more than fits says that there is more. */
export async function listRaw(
  ctx: S3Ctx,
  { prefix, after, limit }: RawPage,
): Promise<{ buckets: Bucket[]; isMore: boolean }> {
  if (!ctx.caller) throw new S3Error('AccessDenied')
  const { accountId, buckets: only } = ctx.caller
  const found = await buckets.list(ctx.db, {
    accountId,
    prefix,
    limit: limit + 1,
    ...(after !== undefined && { after }),
    ...(only && { only }),
  })
  return { buckets: found.slice(0, limit), isMore: found.length > limit }
}

export async function removeRaw(ctx: S3Ctx, bucket: Bucket): Promise<void> {
  await take(ctx.db, bucket)
  ctx.buckets.forget(bucket.name)
}

// ---- through the HTTP APIs

export interface BucketView extends Bucket, buckets.Usage {
  /** Somebody without credentials may read or write in it. */
  isPublic: boolean
}

/** Names that were ever used are never given again here, whatever raw S3 allows. */
export async function create(ctx: Ctx, wish: NewBucket): Promise<BucketView> {
  allow(ctx, 'storage:write')
  if (!isBucketName(wish.name)) {
    throw invalidField(
      'name',
      'a bucket name has 3 to 63 lower-case letters, digits, hyphens and dots, begins and ends with a letter or digit, and is no IP address',
      wish.name,
    )
  }
  const places = await storagePlaces(ctx.db)
  if (wish.location !== undefined && !places.includes(wish.location.toLowerCase())) {
    throw invalidField('location', `there is no region ${JSON.stringify(wish.location)}; there is ${places[0]}`)
  }
  const offered = await tiers.list(ctx.db)
  const tier = wish.tier ?? DEFAULT_TIER
  if (!offered.some(({ id }) => id === tier)) {
    throw invalidField(
      'tier',
      `there is no tier ${JSON.stringify(tier)}; there is ${offered.map(({ id }) => id).join(', ')}`,
    )
  }
  const bucket = await make(ctx.db, ctx.caller.accountId, { ...wish, tier, location: places[0] }, false).catch(
    (error) => {
      throw error instanceof S3Error && error.s3Code === 'BucketAlreadyOwnedByYou'
        ? new CloudError('already_exists', `you have a bucket ${wish.name} already`)
        : error
    },
  )
  return { ...bucket, objects: 0, versions: 0, bytes: 0, uploadBytes: 0, isPublic: isOpenToAll(bucket) }
}

export interface ListInput {
  limit?: number
  offset?: number
  prefix?: string
}

/** By name. Without a limit: all that an account may have. */
export async function list(
  ctx: Ctx,
  { limit = 100_000, offset = 0, prefix = '' }: ListInput = {},
): Promise<{ items: BucketView[]; total: number }> {
  allow(ctx, 'storage:read')
  const accountId = visibleAccount(ctx)
  const found = await buckets.list(ctx.db, { accountId, limit, offset, prefix })
  const usageOf = await buckets.usage(
    ctx.db,
    found.map(({ number }) => number),
  )
  const isAll = offset === 0 && found.length < limit
  return {
    items: found.map((bucket) => ({ ...bucket, ...usageOf(bucket.number), isPublic: isOpenToAll(bucket) })),
    total: isAll ? found.length : await buckets.count(ctx.db, accountId, prefix),
  }
}

/** By name or id. */
export async function show(ctx: Ctx, ref: string): Promise<BucketView> {
  allow(ctx, 'storage:read')
  const bucket = await find(ctx, ref)
  const usageOf = await buckets.usage(ctx.db, [bucket.number])
  return { ...bucket, ...usageOf(bucket.number), isPublic: isOpenToAll(bucket) }
}

async function find(ctx: Ctx, ref: string): Promise<Bucket> {
  const accountId = visibleAccount(ctx)
  const bucket = (await buckets.find(ctx.db, ref)) ?? (await buckets.findById(ctx.db, ref))
  if (!bucket || (accountId !== null && bucket.accountId !== accountId)) throw notFound('bucket', ref)
  return bucket
}

export async function remove(ctx: Ctx, ref: string): Promise<Bucket> {
  allow(ctx, 'storage:write')
  const bucket = await find(ctx, ref)
  await take(ctx.db, bucket)
  return bucket
}

/** What it holds now, and what it held and moved in each hour from `from` to `to`, the newest first. */
export async function usage(ctx: Ctx, ref: string, span: hours.Span) {
  const bucket = await show(ctx, ref)
  if (span.from && span.to && span.from > span.to) throw invalidField('from', 'must not be after `to`')
  return { bucket, hours: await hours.list(ctx.db, bucket, span) }
}

export const listTiers = (ctx: Ctx): Promise<tiers.StorageTierRow[]> => {
  allow(ctx, 'storage:read')
  return tiers.list(ctx.db)
}

/** How much an account may have and has. */
export interface Quota {
  accountId: AccountId
  used: buckets.Usage & { buckets: number }
  /** Null = no limit. */
  quota: accounts.StorageQuota
}

/** The caller's own; for an operator also another's, by id, UUID, number or e-mail. */
export async function quota(ctx: Ctx, ref?: string): Promise<Quota> {
  allow(ctx, ref === undefined ? 'storage:read' : 'operator')
  return quotaOf(ctx.db, ref === undefined ? ctx.caller.accountId : await accountOf(ctx.db, ref))
}

/** What is left out stays as it is; null takes a limit away. */
export async function setQuota(ctx: Ctx, ref: string, change: Partial<accounts.StorageQuota>): Promise<Quota> {
  allow(ctx, 'operator')
  return atomically(ctx.db, async (tx) => {
    const accountId = await accountOf(tx, ref)
    await accounts.setQuota(tx, accountId, change)
    return quotaOf(tx, accountId)
  })
}

async function accountOf(db: Db, ref: string): Promise<AccountId> {
  const account = await accounts.find(db, ref)
  if (!account) throw notFound('account', ref)
  return account.id
}

const quotaOf = async (db: Db, accountId: AccountId): Promise<Quota> => ({
  accountId,
  used: await buckets.usageOfAccount(db, accountId),
  quota: await accounts.quota(db, accountId),
})
