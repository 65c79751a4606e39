/** Uploads in parts; migration 0006 has what must happen at one blow. */
import { randomBytes } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { AccountId } from '../model/ids.ts'
import type { ChecksumAlgorithm, ChecksumType, Encryption, ObjectProperties } from '../model/object.ts'
import type { Db } from './db.ts'
import type { BlobRange, NewBlob } from './objects.ts'

export interface UploadRef {
  bucketNumber: number
  key: string
  id: string
}

export interface NewUpload {
  bucket: { number: number; revision: number }
  key: string
  /** Who begins it. */
  accountId: AccountId
  /** Whose the object will be. */
  ownerId: AccountId
  accessKeyId: string | null
  properties: ObjectProperties
  checksumAlgorithm: ChecksumAlgorithm | null
  checksumType: ChecksumType | null
  encryption: Encryption | null
}

export interface Upload {
  id: string
  bucketNumber: number
  key: string
  /** Who began it. */
  accountId: AccountId
  /** Whose the object will be. */
  ownerId: AccountId
  startedAt: Date
  properties: ObjectProperties
  checksumAlgorithm: ChecksumAlgorithm | null
  checksumType: ChecksumType | null
  encryption: Encryption | null
  /** What became of it, as `finish` was told; null while it is under way. */
  outcome: unknown
}

/** Of the upload's algorithm, or of one that the client chose when the upload has none. */
export interface PartChecksum {
  algorithm: ChecksumAlgorithm
  /** Base64. */
  value: string
}

export interface Part {
  number: number
  sizeBytes: number
  md5: Buffer
  etag: string
  checksum: PartChecksum | null
  modifiedAt: Date
}

const RANDOM_BYTES = 24

/** Its id. Undefined: the bucket is not as the caller remembers it. */
export async function insert(db: Db, upload: NewUpload): Promise<string | undefined> {
  const { bucket, properties, encryption } = upload
  const random = randomBytes(RANDOM_BYTES).toString('base64url')
  const { rows } = await sql<{ id: string | null }>`
    SELECT create_upload(${bucket.number}, ${bucket.revision}, ${upload.key}, ${upload.accountId},
      ${upload.accessKeyId}, ${random}, ${JSON.stringify({ ...properties, ownerId: upload.ownerId })}::jsonb, ${upload.checksumAlgorithm},
      ${upload.checksumType}, ${encryption && JSON.stringify(encryption)}::jsonb) AS id`.execute(db)
  return rows[0]?.id ?? undefined
}

/** Under way, or completed a few days ago at most. */
export const find = (db: Db, ref: UploadRef): Promise<Upload | undefined> => read(db, ref, sql``)

/** So that no part comes or goes until the transaction ends. */
export const lock = (tx: Db, ref: UploadRef): Promise<Upload | undefined> => read(tx, ref, sql`FOR UPDATE`)

async function read(db: Db, { id, bucketNumber, key }: UploadRef, locking: RawBuilder<unknown>) {
  const { rows } = await sql<Upload & { properties: { ownerId: AccountId } }>`
    SELECT id, bucket_number AS "bucketNumber", key, account_id AS "accountId", started_at AS "startedAt", properties,
      checksum_algorithm AS "checksumAlgorithm", checksum_type AS "checksumType", encryption, outcome
    FROM multipart_upload WHERE id = ${id} AND bucket_number = ${bucketNumber} AND key = ${key} ${locking}`.execute(db)
  const [upload] = rows
  if (!upload) return undefined
  const { ownerId, ...properties } = upload.properties
  const { retention } = properties
  const revived = retention && { ...retention, until: new Date(retention.until) } // JSON knows no dates
  return { ...upload, ownerId, properties: { ...properties, retention: revived } }
}

export interface NewPart {
  upload: UploadRef
  number: number
  sizeBytes: number
  md5: Buffer
  etag: string
  checksum: PartChecksum | null
  /** None when the part is empty. */
  body: { kind: 'blob'; blob: NewBlob } | { kind: 'segments'; segments: readonly BlobRange[] }
}
export type PartPut = { outcome: 'put'; modifiedAt: Date } | { outcome: 'no_such_upload' | 'quota' }

/**
 * In the place of the part that had the number before. Throws a foreign key's violation (`isForeignKeyViolation`) when
 * a segment's blob is gone.
 */
export async function putPart(db: Db, part: NewPart): Promise<PartPut> {
  const { upload, body } = part
  const blob = body.kind === 'blob' ? body.blob : null
  const segments = body.kind === 'segments' && body.segments.length > 0 ? body.segments : null
  const { rows } = await sql<PartPut>`
    SELECT outcome, modified_at AS "modifiedAt" FROM put_part(
      ${upload.bucketNumber}, ${upload.key}, ${upload.id}, ${part.number}::int, ${part.sizeBytes}::bigint,
      ${part.md5}::bytea, ${part.etag}, ${part.checksum && writeChecksum(part.checksum)},
      ${blob?.id ?? null}::uuid, ${blob?.storedBytes ?? null}::bigint, ${blob?.md5 ?? null}::bytea,
      ${blob?.wrappedKey ?? null}::bytea,
      ${segments?.map(({ blobId }) => blobId) ?? null}::uuid[],
      ${segments?.map(({ start }) => start) ?? null}::bigint[],
      ${segments?.map(({ length }) => length) ?? null}::bigint[])`.execute(db)
  return rows[0] as PartPut
}

/** In the order of their numbers. */
export async function parts(db: Db, uploadId: string, page: { after: number; limit: number }): Promise<Part[]> {
  const { rows } = await sql<Part & { checksum: string | null }>`
    SELECT part_number AS number, size_bytes AS "sizeBytes", md5, etag, checksum, modified_at AS "modifiedAt"
    FROM upload_part WHERE upload_id = ${uploadId} AND part_number > ${page.after}
    ORDER BY part_number LIMIT ${page.limit}`.execute(db)
  return rows.map((row) => ({ ...row, checksum: row.checksum === null ? null : readChecksum(row.checksum) }))
}

const writeChecksum = ({ algorithm, value }: PartChecksum) => `${algorithm}:${value}`
function readChecksum(text: string): PartChecksum {
  const [algorithm, value] = text.split(':') as [ChecksumAlgorithm, string]
  return { algorithm, value }
}

/**
 * What a published version keeps of an upload: the bytes of these parts, in this order, become its body (`seq`); the
 * other parts go. Moves rows only. The upload's row stays with its outcome, for who asks again.
 */
export async function finish(
  tx: Db,
  { uploadId, seq, numbers, outcome }: { uploadId: string; seq: number; numbers: readonly number[]; outcome: unknown },
): Promise<void> {
  await sql`
    UPDATE body_segment s SET body_id = ${seq}, body_start = p.start + s.body_start
    FROM (SELECT part.body_id, sum(part.size_bytes) OVER (ORDER BY listed.n) - part.size_bytes AS start
      FROM unnest(${numbers}::int[]) WITH ORDINALITY listed (number, n)
      JOIN upload_part part ON part.upload_id = ${uploadId} AND part.part_number = listed.number) p
    WHERE s.body_id = p.body_id`.execute(tx)
  await sql`SELECT drop_parts(${uploadId})`.execute(tx)
  await sql`UPDATE multipart_upload SET completed_at = cloud_now(), outcome = ${JSON.stringify(outcome)}::jsonb
    WHERE id = ${uploadId}`.execute(tx)
}

/** False: there is no such upload under way. */
export async function abort(db: Db, { bucketNumber, key, id }: UploadRef): Promise<boolean> {
  const { rows } = await sql<{ aborted: boolean }>`
    SELECT abort_upload(${bucketNumber}, ${key}, ${id}) AS aborted`.execute(db)
  return rows[0]?.aborted === true
}

/** Uploads that were completed so long ago that nobody repeats their Complete any more. */
export async function prune(db: Db, keepDays: number): Promise<void> {
  await sql`DELETE FROM multipart_upload
    WHERE completed_at < cloud_now() - ${keepDays}::int * interval '1 day'`.execute(db)
}
