/**
 * Migrations only go forward. Each runs in one transaction together with the line that says it ran, so a kill leaves
 * it done or not begun; an advisory lock keeps two starting processes from running them side by side.
 */
import { sql } from 'kysely'
import { CloudError } from '../model/errors.ts'
import { type Db, execute } from './db.ts'
import * as core from './migrations/0001-core.ts'
import * as instanceCount from './migrations/0002-instance-count.ts'
import * as objects from './migrations/0003-objects.ts'
import * as objectFunctions from './migrations/0004-object-functions.ts'
import * as objectListing from './migrations/0005-object-listing.ts'
import * as storageTiers from './migrations/0006-storage-tiers.ts'
import * as multipart from './migrations/0007-multipart.ts'
import * as clock from './migrations/0008-clock.ts'
import * as suspension from './migrations/0009-suspension.ts'
import * as backups from './migrations/0010-backups.ts'
import * as sshKeys from './migrations/0011-ssh-keys.ts'
import * as credentials from './migrations/0012-credentials.ts'
import * as metrics from './migrations/0013-metrics.ts'
import * as rebuildPassword from './migrations/0014-rebuild-password.ts'
import * as instanceNames from './migrations/0015-instance-names.ts'

interface Migration {
  name: string
  sql: string
}
/** In the order they run. A migration that was released is never edited: add the next one. */
export const MIGRATIONS: readonly Migration[] = [
  core,
  instanceCount,
  objects,
  objectFunctions,
  objectListing,
  storageTiers,
  multipart,
  clock,
  suspension,
  backups,
  sshKeys,
  credentials,
  metrics,
  rebuildPassword,
  instanceNames,
]

const LOCK = 0x4861766e // "Havn"

/** Brings the schema up to `migrations` and returns the names that ran now. */
export async function migrate(db: Db, migrations: readonly Migration[] = MIGRATIONS): Promise<string[]> {
  return db.connection().execute(async (connection) => {
    await sql`SELECT pg_advisory_lock(${LOCK})`.execute(connection)
    try {
      await execute(
        connection,
        'CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, ran_at timestamptz NOT NULL DEFAULT now())',
      )
      const { rows } = await sql<{ name: string }>`SELECT name FROM migration`.execute(connection)
      const done = new Set(rows.map((row) => row.name))
      const newer = [...done].filter((name) => !migrations.some((migration) => migration.name === name))
      if (newer.length > 0) {
        throw new CloudError(
          'conflict',
          `the database was made by a newer Havn (it has ${newer.join(', ')}): start that version, or restore an older copy`,
        )
      }
      const missing = migrations.filter((migration) => !done.has(migration.name))
      for (const migration of missing) {
        await connection.transaction().execute(async (tx) => {
          await execute(tx, migration.sql)
          await sql`INSERT INTO migration (name) VALUES (${migration.name})`.execute(tx)
        })
      }
      return missing.map((migration) => migration.name)
    } finally {
      await sql`SELECT pg_advisory_unlock(${LOCK})`.execute(connection)
    }
  })
}
