import { sql } from 'kysely'
import type { ImageState, Names } from '../model/catalog.ts'
import { notFound } from '../model/errors.ts'
import type { AccountId } from '../model/ids.ts'
import type { Db } from './db.ts'
import * as events from './events.ts'

export interface Image {
  id: string
  /** Whose own it is; null = everybody's, of the catalogue. */
  accountId: AccountId | null
  number: number
  name: string
  family: string
  version: string
  isWindows: boolean
  minMemoryMib: number
  minDiskGib: number
  builder: 'micro' | 'debian' | null
  names: Names
  state: ImageState
  stateReason: string | null
  digest: string | null
  virtualBytes: number | null
  fileBytes: number | null
  updatedAt: Date
}

const COLUMNS = [
  'id',
  'account_id as accountId',
  'number',
  'name',
  'family',
  'version',
  'is_windows as isWindows',
  'min_memory_mib as minMemoryMib',
  'min_disk_gib as minDiskGib',
  'builder',
  'names',
  'state',
  'state_reason as stateReason',
  'digest',
  'virtual_bytes as virtualBytes',
  'file_bytes as fileBytes',
  'updated_at as updatedAt',
] as const

/** Of the catalogue. */
export const list = (db: Db): Promise<Image[]> =>
  db
    .selectFrom('image')
    .select(COLUMNS)
    .where('retired', '=', false)
    .where('account_id', 'is', null)
    .orderBy('position')
    .execute()

/** The account's own, oldest first. */
export const listOwn = (db: Db, accountId: AccountId): Promise<Image[]> =>
  db
    .selectFrom('image')
    .select(COLUMNS)
    .where('retired', '=', false)
    .where('account_id', '=', accountId)
    .orderBy('number')
    .execute()

export interface NewOwnImage {
  accountId: AccountId
  name: string
  /** What the disk once began with. */
  like: Pick<Image, 'family' | 'version' | 'isWindows' | 'minMemoryMib'>
  minDiskGib: number
}

/** It is `importing` until its strand has made the file. */
export async function insertOwn(tx: Db, image: NewOwnImage): Promise<string> {
  const { rows } = await sql<{ number: number }>`SELECT nextval('image_own_number') AS number`.execute(tx)
  const { number } = rows[0]!
  const id = `own-${number}`
  await tx
    .insertInto('image')
    .values({
      id,
      number,
      account_id: image.accountId,
      position: number,
      name: image.name,
      family: image.like.family,
      version: image.like.version,
      is_windows: image.like.isWindows,
      min_memory_mib: image.like.minMemoryMib,
      min_disk_gib: image.minDiskGib,
      state: 'importing',
    })
    .execute()
  return id
}

/** Nobody sees it any more; the row stays, because instances may have begun with it. */
export async function retire(tx: Db, id: string): Promise<void> {
  await tx.updateTable('image').set({ retired: true }).where('id', '=', id).execute()
}

export const find = (db: Db, id: string): Promise<Image | undefined> =>
  db.selectFrom('image').select(COLUMNS).where('retired', '=', false).where('id', '=', id).executeTakeFirst()

export async function get(db: Db, id: string): Promise<Image> {
  const image = await find(db, id)
  if (!image) throw notFound('image', id)
  return image
}

export async function lock(tx: Db, id: string): Promise<Image> {
  const row = await tx.selectFrom('image').select(COLUMNS).where('id', '=', id).forUpdate().executeTakeFirst()
  if (!row) throw notFound('image', id)
  return row
}

export interface ImageChange {
  state: ImageState
  reason?: string | null
  digest?: string | null
  virtualBytes?: number | null
  fileBytes?: number | null
}

export async function change(tx: Db, id: string, change: ImageChange): Promise<void> {
  await tx
    .updateTable('image')
    .set({
      state: change.state,
      state_reason: change.reason ?? null,
      updated_at: sql<Date>`cloud_now()`,
      ...(change.digest === undefined ? {} : { digest: change.digest }),
      ...(change.virtualBytes === undefined ? {} : { virtual_bytes: change.virtualBytes }),
      ...(change.fileBytes === undefined ? {} : { file_bytes: change.fileBytes }),
    })
    .where('id', '=', id)
    .execute()
  await events.emit(tx, {
    accountId: null,
    kind: 'image',
    resourceId: id,
    data: { state: change.state, reason: change.reason ?? null },
  })
}

/** A simulator has no files: whatever the catalogue names can be had. */
export async function makeAllAvailable(tx: Db): Promise<void> {
  await tx
    .updateTable('image')
    .set({ state: 'available', state_reason: null })
    .where('retired', '=', false)
    .where('account_id', 'is', null)
    .execute()
}

/** Digests that an image row or a disk needs; every other file in the catalogue folder is left over. */
export async function digestsInUse(db: Db): Promise<Set<string>> {
  const { rows } = await sql<{ digest: string }>`
    SELECT digest FROM image WHERE digest IS NOT NULL
    UNION SELECT image_digest FROM instance WHERE image_digest IS NOT NULL AND host_id IS NOT NULL`.execute(db)
  return new Set(rows.map(({ digest }) => digest))
}
