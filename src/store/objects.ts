/** Publishing and deleting: what changes which objects a bucket has. The rules are in the functions of migration 0004. */
import { sql } from 'kysely'
import { CloudError } from '../model/errors.ts'
import type { AccountId } from '../model/ids.ts'
import type { Checksum, Encryption, ObjectPart, ObjectProperties } from '../model/object.ts'
import type { DefaultRetention } from '../model/object-lock.ts'
import type { Db } from './db.ts'
import { newVersionRandom } from './version-ids.ts'

/** A blob that was just written, of which no row is known yet. */
export interface NewBlob {
  id: string
  storedBytes: number
  /** Of the object's own bytes. */
  md5: Buffer | null
  wrappedKey: Buffer | null
}
/** Where the bytes of a new version lie. */
export type NewBody =
  | { kind: 'inline'; bytes: Buffer; wrappedKey: Buffer | null }
  /** The whole blob is the body. */
  | { kind: 'blob'; blob: NewBlob }
  /** Pieces of blobs that are there already, in order; together as long as the object. */
  | { kind: 'segments'; segments: readonly BlobRange[] }
export interface BlobRange {
  blobId: string
  start: number
  length: number
}
/** ETags without quotes, or `*`; contract of conditional requests. */
export interface Preconditions {
  ifMatch?: readonly string[]
  ifNoneMatch?: readonly string[]
}

export interface NewVersion {
  bucket: { number: number; revision: number }
  key: string
  accountId: AccountId
  sizeBytes: number
  etag: string
  checksum: Checksum | null
  encryption: Encryption | null
  properties: ObjectProperties
  /** What the bucket sets for objects that say nothing of themselves. */
  defaultRetention?: DefaultRetention | undefined
  /** Of an upload in parts. */
  parts?: readonly ObjectPart[]
  body: NewBody
  preconditions?: Preconditions
  /** What was counted as bytes of an upload and is no more, because this is what became of it. */
  uploadBytes?: number
}

export type Published =
  | { outcome: 'published'; seq: number; versionId: string; modifiedAt: Date }
  /** The bucket is not as the caller remembers it, or gone: look again, ask again, publish again. */
  | { outcome: 'stale' | 'no_such_key' | 'quota' | 'protected' | 'past_retention' }
  | { outcome: 'precondition_failed'; condition: 'If-Match' | 'If-None-Match' }

/**
 * Makes a version, the newest of its key, at one blow: preconditions, versioning, quota, counting, and what it replaces.
 * One round trip; a transaction of its own, unless `db` is one. Throws a foreign key's violation (`isForeignKeyViolation`)
 * when a segment's blob is gone.
 */
export function publish(db: Db, version: NewVersion): Promise<Published> {
  return db.isTransaction ? tryPublish(db, version) : againAfterDeadlock(() => tryPublish(db, version))
}

const DEADLOCK = '40P01'
/** Two of an account that come near its quota at once may block each other; one of them is then sent back. */
async function againAfterDeadlock<T>(act: () => Promise<T>, tries = 5): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (tries === 1 || (error as { code?: string }).code !== DEADLOCK) throw error
    return againAfterDeadlock(act, tries - 1)
  }
}

async function tryPublish(db: Db, version: NewVersion): Promise<Published> {
  const { bucket, properties, body, preconditions = {} } = version
  const inline = body.kind === 'inline' ? body : null
  const blob = body.kind === 'blob' ? body.blob : null
  const segments = body.kind === 'segments' && body.segments.length > 0 ? body.segments : null
  const retention = properties.retention
  const byDefault = retention ? undefined : version.defaultRetention
  const { rows } = await sql<Published>`
    SELECT outcome, condition, seq, version_id AS "versionId", modified_at AS "modifiedAt" FROM publish_object(
      ${bucket.number}::bigint, ${bucket.revision}::bigint, ${version.key}, ${version.accountId}, ${newVersionRandom()},
      ${preconditions.ifMatch ?? null}::text[], ${preconditions.ifNoneMatch ?? null}::text[],
      ${version.sizeBytes}::bigint, ${version.etag}, ${json(version.checksum)}::jsonb, ${properties.storageClass},
      ${json(properties.headers)}::jsonb, ${json(properties.metadata)}::jsonb, ${json(properties.tags)}::jsonb,
      ${json(properties.acl)}::jsonb, ${json(version.encryption)}::jsonb,
      ${retention?.mode ?? byDefault?.mode ?? null}::text, ${retention?.until ?? null}::timestamptz,
      ${byDefault?.days ?? null}::int, ${byDefault?.years ?? null}::int, ${properties.legalHold}::boolean,
      ${version.parts?.length ?? null}::int, ${json(version.parts ?? null)}::jsonb,
      ${inline?.bytes ?? null}::bytea, ${inline?.wrappedKey ?? null}::bytea,
      ${blob?.id ?? null}::uuid, ${blob?.storedBytes ?? null}::bigint, ${blob?.md5 ?? null}::bytea,
      ${blob?.wrappedKey ?? null}::bytea,
      ${segments?.map(({ blobId }) => blobId) ?? null}::uuid[],
      ${segments?.map(({ start }) => start) ?? null}::bigint[],
      ${segments?.map(({ length }) => length) ?? null}::bigint[],
      ${version.uploadBytes ?? 0}::bigint)`.execute(db)
  return rows[0]!
}

export interface Deletion {
  key: string
  /** Absent = the plain delete. `seq` is what seqOfVersionId told; null for the null version. */
  version?: { id: string; seq: number | null }
  /** Of a plain delete: nothing is done unless this is still the latest. */
  latestSeq?: number
  ifMatch?: readonly string[]
  /** They may lift a GOVERNANCE retention, and said so. */
  bypassGovernance?: boolean
}
export interface Deleted {
  outcome: 'deleted' | 'marked' | 'absent' | 'precondition_failed' | 'protected'
  /** Of what was deleted or made; null when a plain delete found nothing. */
  versionId: string | null
  /** A delete marker was made, or one was deleted. */
  isMarker: boolean
}

/** All of them or, when the server dies, none; answers in their order. At most a few hundred: each is a lock. */
export async function remove(
  db: Db,
  {
    bucket,
    accountId,
    deletions,
  }: {
    bucket: { number: number; revision: number }
    /** Who is the owner of a delete marker. */
    accountId: AccountId
    deletions: readonly Deletion[]
  },
): Promise<Deleted[] | 'stale'> {
  const { rows } = await sql<Deleted & { n: number; outcome: Deleted['outcome'] | 'stale' }>`
    SELECT n, outcome, version_id AS "versionId", is_marker AS "isMarker" FROM delete_objects(
      ${bucket.number}::bigint, ${bucket.revision}::bigint, ${accountId},
      ${deletions.map(({ key }) => key)}::text[],
      ${deletions.map(({ version }) => version?.id ?? null)}::text[],
      ${deletions.map(({ version, latestSeq }) => (version ? version.seq : (latestSeq ?? null)))}::bigint[],
      ${deletions.map(({ ifMatch }) => ifMatch?.join('\n') ?? null)}::text[],
      ${deletions.map(({ bypassGovernance }) => bypassGovernance ?? false)}::boolean[],
      ${deletions.map(newVersionRandom)}::text[])`.execute(db)
  if (rows[0]?.n === 0) return 'stale'
  return rows.map(({ outcome, versionId, isMarker }) => ({ outcome, versionId, isMarker }) as Deleted)
}

const FOREIGN_KEY_VIOLATION = '23503'
/** Whether something failed because what it points at is gone. */
export const isForeignKeyViolation = (error: unknown): boolean =>
  (error as { code?: string }).code === FOREIGN_KEY_VIOLATION

/**
 * Whether a failed statement certainly changed nothing: the server said so itself, in an error with a code of its own.
 * When the connection was lost in between, nobody knows.
 */
export function hasNotHappened(error: unknown): boolean {
  if (error instanceof CloudError) return true
  // Only what the server reports has a severity; EPIPE would look like a code of SQL as well.
  const { code, severity } = error as { code?: string; severity?: string }
  // Class 08 is about connections, 57 about a server that ends them, 40003 says that it does not know.
  return severity !== undefined && code !== undefined && !/^(?:08|57|40003)/.test(code)
}

const json = (value: unknown): string | null => (value === null || value === undefined ? null : JSON.stringify(value))
