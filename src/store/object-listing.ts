/** Pages of what a bucket holds, in the byte order of keys; migrations/0005-object-listing.ts has the work. */
import { sql } from 'kysely'
import type { AccountId } from '../model/ids.ts'
import type { ChecksumAlgorithm, ChecksumType } from '../model/object.ts'
import type { Db } from './db.ts'

export interface PageWish {
  bucketNumber: number
  /** '' = every key. */
  prefix: string
  /** Keys that hold it behind the prefix are folded into their common prefix; null = none are. */
  delimiter: string | null
  /** The page begins behind it; null = at the first. Inside a common prefix it skips the rest of that prefix. */
  afterKey: string | null
  /** Rows and common prefixes, both counted. */
  entriesMax: number
}

/** One line of a listing: a row, or what a delimiter folded. */
export type Entry<Row> = { commonPrefix: string; row: null } | { commonPrefix: null; row: Row }

export interface ListedVersion {
  key: string
  versionId: string
  isLatest: boolean
  isDeleteMarker: boolean
  sizeBytes: number
  etag: string
  modifiedAt: Date
  storageClass: string
  accountId: AccountId
  checksumAlgorithm: ChecksumAlgorithm | null
  checksumType: ChecksumType | null
}

export interface ListedUpload {
  key: string
  id: string
  startedAt: Date
  /** Who began it. */
  accountId: AccountId
  /** Whose the object will be. */
  ownerId: AccountId
  storageClass: string
  checksumAlgorithm: ChecksumAlgorithm | null
  checksumType: ChecksumType | null
}

type Folded<Row> = Row & { commonPrefix: string | null }

const VERSION = sql`common_prefix AS "commonPrefix", key, version_id AS "versionId", is_latest AS "isLatest",
  is_delete_marker AS "isDeleteMarker", size_bytes AS "sizeBytes", etag, modified_at AS "modifiedAt",
  storage_class AS "storageClass", account_id AS "accountId", checksum_algorithm AS "checksumAlgorithm",
  checksum_type AS "checksumType"`

/** The current objects. */
export async function objects(db: Db, wish: PageWish): Promise<Entry<ListedVersion>[]> {
  const { bucketNumber, prefix, delimiter, afterKey, entriesMax } = wish
  const { rows } = await sql<Folded<ListedVersion>>`
    SELECT ${VERSION} FROM list_objects(${bucketNumber}, ${prefix}, ${delimiter}, ${afterKey}, ${entriesMax})`.execute(
    db,
  )
  return rows.map(asEntry)
}

/** Every version and delete marker, the newest of a key first; behind `afterVersionId` of `afterKey` when it is given. */
export async function versions(
  db: Db,
  wish: PageWish & { afterVersionId: string | null },
): Promise<Entry<ListedVersion>[]> {
  const { bucketNumber, prefix, delimiter, afterKey, afterVersionId, entriesMax } = wish
  const { rows } = await sql<Folded<ListedVersion>>`
    SELECT ${VERSION} FROM list_object_versions(${bucketNumber}, ${prefix}, ${delimiter}, ${afterKey},
      ${afterVersionId}, ${entriesMax})`.execute(db)
  return rows.map(asEntry)
}

/** Uploads under way, by key, then by their start; behind the upload `afterUploadId` of `afterKey` when it is given. */
export async function uploads(
  db: Db,
  wish: PageWish & { afterUploadId: string | null },
): Promise<Entry<ListedUpload>[]> {
  const { bucketNumber, prefix, delimiter, afterKey, afterUploadId, entriesMax } = wish
  const { rows } = await sql<Folded<ListedUpload>>`
    SELECT common_prefix AS "commonPrefix", key, id, started_at AS "startedAt", account_id AS "accountId", owner_id AS "ownerId",
      storage_class AS "storageClass", checksum_algorithm AS "checksumAlgorithm", checksum_type AS "checksumType"
    FROM list_multipart_uploads(${bucketNumber}, ${prefix}, ${delimiter}, ${afterKey}, ${afterUploadId}, ${entriesMax})
    `.execute(db)
  return rows.map(asEntry)
}

function asEntry<Row>({ commonPrefix, ...row }: Folded<Row>): Entry<Row> {
  return commonPrefix === null ? { commonPrefix, row: row as Row } : { commonPrefix, row: null }
}
