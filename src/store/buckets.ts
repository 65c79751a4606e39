/** Buckets and the names that are or were theirs. */
import { sql } from 'kysely'
import { type Bucket, type BucketSettings, isBucketName, type StorageTier, type Versioning } from '../model/bucket.ts'
import { type AccountId, type BucketId, newId, uuidOfId } from '../model/ids.ts'
import { lockAlone } from './bucket-lock.ts'
import { atomically, type Db } from './db.ts'

const COLUMNS = [
  'id',
  'number',
  'name',
  'account_id as accountId',
  'tier',
  'location',
  'versioning',
  'settings',
  'revision',
  'is_suspended as isSuspended',
  'created_at as createdAt',
] as const

export async function find(db: Db, name: string): Promise<Bucket | undefined> {
  if (!isBucketName(name)) return undefined
  return db.selectFrom('bucket').select(COLUMNS).where('name', '=', name).executeTakeFirst()
}

export async function findById(db: Db, id: string): Promise<Bucket | undefined> {
  if (uuidOfId('bucket', id) === null) return undefined
  return db
    .selectFrom('bucket')
    .select(COLUMNS)
    .where('id', '=', id as BucketId)
    .executeTakeFirst()
}

export interface ListQuery {
  /** Null: of every account. */
  accountId: AccountId | null
  prefix?: string
  /** Only names behind this one. */
  after?: string
  /** Only these names. */
  only?: readonly string[]
  limit: number
  offset?: number
}

/** By name, in byte order. */
export function list(db: Db, { accountId, prefix = '', after, only, limit, offset = 0 }: ListQuery): Promise<Bucket[]> {
  let query = db.selectFrom('bucket').select(COLUMNS).orderBy('name').limit(limit).offset(offset)
  if (accountId !== null) query = query.where('account_id', '=', accountId)
  if (prefix !== '') query = query.where(sql<boolean>`starts_with(name, ${prefix})`)
  if (after !== undefined) query = query.where('name', '>', after)
  if (only) query = query.where(sql<boolean>`name = ANY (${only}::text[])`)
  return query.execute()
}

export async function count(db: Db, accountId: AccountId | null, prefix = ''): Promise<number> {
  let query = db.selectFrom('bucket').select((eb) => eb.fn.countAll<number>().as('buckets'))
  if (accountId !== null) query = query.where('account_id', '=', accountId)
  if (prefix !== '') query = query.where(sql<boolean>`starts_with(name, ${prefix})`)
  return (await query.executeTakeFirstOrThrow()).buckets
}

export interface NewBucket {
  name: string
  accountId: AccountId
  tier: StorageTier
  location: string
  versioning: Versioning
  settings: BucketSettings
}
/** `own`, `other`: there is such a bucket, and whose. `burnt`: there was one, and the name is not given again. */
export type NameTaken = 'own' | 'other' | 'burnt'

/** `reuses`: the last owner of a name that was given up may have it again. Waits for whoever is taking the same name. */
export function insert(db: Db, bucket: NewBucket, reuses: boolean): Promise<Bucket | NameTaken> {
  const { name, accountId } = bucket
  return atomically(db, async (tx) => {
    const { rows } = await sql`
      INSERT INTO bucket_name AS known (name, account_id) VALUES (${name}, ${accountId})
      ON CONFLICT (name) DO UPDATE SET released_at = NULL
        WHERE ${reuses} AND known.account_id = ${accountId} AND known.released_at IS NOT NULL
      RETURNING name`.execute(tx)
    if (rows.length === 0) return whoHas(tx, name, accountId)
    return tx
      .insertInto('bucket')
      .values({
        id: newId('bucket'),
        name,
        account_id: accountId,
        tier: bucket.tier,
        location: bucket.location,
        versioning: bucket.versioning,
        settings: JSON.stringify(bucket.settings),
      })
      .returning(COLUMNS)
      .executeTakeFirstOrThrow()
  })
}

async function whoHas(tx: Db, name: string, accountId: AccountId): Promise<NameTaken> {
  const owner = await tx.selectFrom('bucket').select('account_id').where('name', '=', name).executeTakeFirst()
  if (!owner) return 'burnt'
  return owner.account_id === accountId ? 'own' : 'other'
}

/**
 * Removes the bucket, gives its name up and aborts its unfinished uploads. `not empty`: there is a version or a delete
 * marker. `gone`: somebody else removed it before.
 */
export function remove(db: Db, bucket: Bucket): Promise<'removed' | 'not empty' | 'gone'> {
  const { number, id } = bucket
  return atomically(db, async (tx) => {
    // Whoever completes an upload locks its row before the bucket; in the other order we would block each other.
    await sql`SELECT id FROM multipart_upload WHERE bucket_number = ${number} ORDER BY id FOR UPDATE`.execute(tx)
    await lockAlone(tx, number)
    const there = await tx.selectFrom('bucket').select('number').where('number', '=', number).executeTakeFirst()
    if (!there) return 'gone'
    const held = await tx
      .selectFrom('object_version')
      .select('seq')
      .where('bucket_number', '=', number)
      .limit(1)
      .executeTakeFirst()
    if (held) return 'not empty'
    await sql`
      WITH gone AS (
        DELETE FROM body_segment USING upload_part part, multipart_upload upload
        WHERE upload.bucket_number = ${number} AND part.upload_id = upload.id AND body_segment.body_id = part.body_id
        RETURNING blob_id)
      INSERT INTO released_blob (blob_id) SELECT DISTINCT blob_id FROM gone`.execute(tx)
    await tx.deleteFrom('multipart_upload').where('bucket_number', '=', number).execute()
    // What it held until now still belongs on the bill.
    await sql`SELECT close_usage(${number}::bigint, shard, cloud_now(), true) FROM bucket_usage
      WHERE bucket_number = ${number}`.execute(tx)
    await tx.deleteFrom('bucket').where('id', '=', id).execute()
    await tx
      .updateTable('bucket_name')
      .set({ released_at: sql<Date>`cloud_now()` })
      .where('name', '=', bucket.name)
      .execute()
    return 'removed'
  })
}

/**
 * Changes what the owner has set: `settings` replaces all of them, so read them under the same lock (`change` does).
 * Returns the bucket as it is now, undefined when it is gone.
 */
export function change(
  db: Db,
  bucket: Pick<Bucket, 'id' | 'number'>,
  edit: (now: Bucket) => { versioning?: Versioning; settings?: BucketSettings },
): Promise<Bucket | undefined> {
  return atomically(db, async (tx) => {
    await lockAlone(tx, bucket.number)
    const now = await tx.selectFrom('bucket').select(COLUMNS).where('id', '=', bucket.id).executeTakeFirst()
    if (!now) return undefined
    const { versioning = now.versioning, settings = now.settings } = edit(now)
    return tx
      .updateTable('bucket')
      .set({ versioning, settings: JSON.stringify(settings), revision: sql<number>`revision + 1` })
      .where('id', '=', bucket.id)
      .returning(COLUMNS)
      .executeTakeFirst()
  })
}

export interface Usage {
  /** Keys that a listing shows. */
  objects: number
  versions: number
  /** Of all versions. */
  bytes: number
  /** Of parts that are not yet an object. */
  uploadBytes: number
}
const NOTHING: Usage = { objects: 0, versions: 0, bytes: 0, uploadBytes: 0 }

/** What each of these buckets holds now. */
export async function usage(db: Db, numbers: readonly number[]): Promise<(bucketNumber: number) => Usage> {
  if (numbers.length === 0) return () => NOTHING
  const { rows } = await sql<Usage & { number: number }>`
    SELECT bucket_number AS number, sum(objects)::bigint AS objects, sum(versions)::bigint AS versions,
      sum(bytes)::bigint AS bytes, sum(upload_bytes)::bigint AS "uploadBytes"
    FROM bucket_usage WHERE bucket_number = ANY (${numbers}::bigint[]) GROUP BY bucket_number`.execute(db)
  const found = new Map(rows.map(({ number, ...sums }) => [number, sums]))
  return (number) => found.get(number) ?? NOTHING
}

/** What an account holds in all of its buckets. */
export async function usageOfAccount(db: Db, accountId: AccountId): Promise<Usage & { buckets: number }> {
  const { rows } = await sql<Usage & { buckets: number }>`
    SELECT count(DISTINCT bucket.number)::int AS buckets, coalesce(sum(objects), 0)::bigint AS objects,
      coalesce(sum(versions), 0)::bigint AS versions, coalesce(sum(bytes), 0)::bigint AS bytes,
      coalesce(sum(upload_bytes), 0)::bigint AS "uploadBytes"
    FROM bucket LEFT JOIN bucket_usage ON bucket_number = bucket.number WHERE account_id = ${accountId}`.execute(db)
  return rows[0]!
}
