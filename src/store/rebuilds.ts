/** The wish for another disk made from an image. It stands in the instance's row until the strand has fulfilled it. */
import { sql } from 'kysely'
import type { InstanceId } from '../model/ids.ts'
import type { Db } from './db.ts'

/** What is to be put on its disk. */
export interface Rebuild {
  imageId: string
  /** Of the root password that was made for it; null: none was. */
  passwordSealed: Buffer | null
}

export async function find(db: Db, id: InstanceId): Promise<(Rebuild & { generation: number }) | null> {
  const { imageId, ...rest } = await db
    .selectFrom('instance')
    .select(['rebuild_image_id as imageId', 'rebuild_password_sealed as passwordSealed', 'generation'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return imageId === null ? null : { imageId, ...rest }
}

export async function wish(
  tx: Db,
  id: InstanceId,
  { imageId, passwordHash, passwordSealed }: Rebuild & { passwordHash: string | null },
): Promise<void> {
  const wish = { rebuild_image_id: imageId, rebuild_password_sealed: passwordSealed, password_hash: passwordHash }
  await tx.updateTable('instance').set(wish).where('id', '=', id).execute()
}

export async function forget(tx: Db, id: InstanceId): Promise<void> {
  const nothing = { rebuild_image_id: null, rebuild_password_sealed: null, password_hash: null }
  await tx.updateTable('instance').set(nothing).where('id', '=', id).execute()
}

/** From here on its disk is the next generation's, which nobody has seen boot. */
export async function install(
  tx: Db,
  id: InstanceId,
  { imageId, imageDigest }: { imageId: string; imageDigest: string | null },
): Promise<void> {
  await tx
    .updateTable('instance')
    .set({
      image_id: imageId,
      image_digest: imageDigest,
      rebuild_image_id: null,
      rebuild_password_sealed: null,
      source_backup_id: null,
      restore_backup_id: null,
      generation: sql<number>`generation + 1`,
      provisioned_at: null,
      started_at: null,
      crash_count: 0,
      updated_at: sql<Date>`cloud_now()`,
    })
    .where('id', '=', id)
    .execute()
}
