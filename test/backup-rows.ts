/** A backup in the database and the link to it, for bytes that no strand brought. */
import { sql } from 'kysely'
import { newIdentity } from '../src/model/ids.ts'
import { signLink } from '../src/services/backups/signature.ts'
import type { BackupStage, Uploaded } from './backup-stage.ts'
import type { Cloud } from './cloud.ts'

/** Rows as the strand of a backup writes them. */
export async function publishBackup({ db }: Cloud, { sealedKey }: BackupStage, uploaded: Uploaded): Promise<string> {
  const [account] = (await sql<{ id: string }>`SELECT id FROM account`.execute(db)).rows
  const [instance] = (await sql<{ id: string }>`SELECT id FROM instance`.execute(db)).rows
  const shortId = `bk-${uploaded.backupId.slice(-8)}`
  await sql`INSERT INTO backup_key (account_id, sealed) VALUES (${account!.id}, ${Buffer.from(sealedKey, 'base64')})
    ON CONFLICT DO NOTHING`.execute(db)
  await sql`INSERT INTO blob (id, plain_bytes, stored_bytes)
    VALUES (${uploaded.manifestBlobId}, ${uploaded.manifestBytes}, ${uploaded.manifestBytes})`.execute(db)
  await sql`INSERT INTO backup (id, uuid, short_id, account_id, instance_id, kind, state, origin, manifest_blob_id,
      completed_at)
    VALUES (${uploaded.backupId}, ${newIdentity('backup').uuid}, ${shortId}, ${account!.id}, ${instance!.id}, 'manual',
      'completed', '{"name": "the \\"best\\" one"}', ${uploaded.manifestBlobId}, cloud_now())`.execute(db)
  return shortId
}

/** What opens it for an hour. */
export async function signedUrl({ db, context, s3Url }: Cloud, shortId: string): Promise<string> {
  const { rows } = await sql<{ seconds: number }>`SELECT extract(epoch FROM cloud_now())::int8 AS seconds`.execute(db)
  const expires = rows[0]!.seconds + 3600
  const signature = signLink(context.settings.masterKey, { shortId, expires })
  return `${s3Url}/.havn/backups/${shortId}.qcow2?expires=${expires}&signature=${signature}`
}
