/** What can be set on a version after it was written: tags, ACL, retention, legal hold. Its bytes never change. */
import { sql } from 'kysely'
import type { Acl } from '../model/acl.ts'
import type { AccountId } from '../model/ids.ts'
import type { Retention, RetentionMode } from '../model/object-lock.ts'
import type { Tags } from '../model/tags.ts'
import { lockShared } from './bucket-lock.ts'
import { atomically, type Db, now } from './db.ts'
import { seqOfVersionId } from './version-ids.ts'

export interface ObjectSettings {
  seq: number
  versionId: string
  isDeleteMarker: boolean
  accountId: AccountId
  tags: Tags
  /** Null = private. */
  acl: Acl | null
  retention: Retention | null
  legalHold: boolean
}

export interface VersionRef {
  bucketNumber: number
  key: string
  /** Undefined = the latest. Only an id that seqOfVersionId knows. */
  versionId: string | undefined
}

export async function find(db: Db, { bucketNumber, key, versionId }: VersionRef): Promise<ObjectSettings | undefined> {
  let query = db
    .selectFrom('object_version')
    .select([
      'seq',
      'version_id as versionId',
      'is_delete_marker as isDeleteMarker',
      'account_id as accountId',
      'tags',
      'acl',
      'retain_mode as retainMode',
      'retain_until as retainUntil',
      'legal_hold as legalHold',
    ])
    .where('bucket_number', '=', bucketNumber)
    .where('key', '=', key)
    .orderBy('seq', 'desc')
    .limit(1)
  if (versionId !== undefined) {
    query = query.where('version_id', '=', versionId)
    const seq = seqOfVersionId(versionId)
    if (seq !== null && seq !== undefined) query = query.where('seq', '=', seq)
  }
  const row = await query.executeTakeFirst()
  if (!row) return undefined
  const { retainMode, retainUntil, ...settings } = row
  const retention = retainMode && retainUntil ? { mode: retainMode as RetentionMode, until: retainUntil } : null
  return { ...settings, retention }
}

type Change = Partial<Pick<ObjectSettings, 'tags' | 'acl' | 'retention' | 'legalHold'>>

/**
 * Under the locks of a writer of that key, so that a lock which was acknowledged binds every delete that comes after.
 * `edit` may throw; it sees undefined when there is no such version, and what it returns then is not written.
 */
export function change(
  db: Db,
  ref: VersionRef,
  edit: (version: ObjectSettings | undefined, now: Date) => Change,
): Promise<void> {
  const { bucketNumber, key } = ref
  return atomically(db, async (tx) => {
    await lockShared(tx, bucketNumber)
    await sql`SELECT pg_advisory_xact_lock(hashtextextended(${key}, ${bucketNumber}::bigint))`.execute(tx)
    const version = await find(tx, ref)
    const { tags, acl, retention, legalHold } = edit(version, await now(tx))
    if (!version) return
    await tx
      .updateTable('object_version')
      .set({
        ...(tags !== undefined && { tags: JSON.stringify(tags) }),
        ...(acl !== undefined && { acl: acl && JSON.stringify(acl) }),
        ...(retention !== undefined && {
          retain_mode: retention?.mode ?? null,
          retain_until: retention?.until ?? null,
        }),
        ...(legalHold !== undefined && { legal_hold: legalHold }),
      })
      .where('bucket_number', '=', bucketNumber)
      .where('key', '=', key)
      .where('seq', '=', version.seq)
      .execute()
  })
}
