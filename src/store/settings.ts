/** Facts about this installation that are decided once and kept: address blocks, compute driver, first start. */
import type { Db } from './db.ts'

export interface Settings {
  compute: string
  /** Private blocks that `up` chose because the catalogue names none. */
  pools: { family: 4 | 6; cidr: string }[]
  /** The instance named `first` was made, or was not wanted. */
  firstStart: { finished: boolean }
  owner: { accountId: string }
  /** Tells the master key that secrets are sealed with from any other; says nothing of it. Hex. */
  masterKey: { check: string }
  /** The blob that the scrub of object storage read last; null = it begins anew. */
  scrub: { after: string | null }
}

export async function read<K extends keyof Settings>(db: Db, key: K): Promise<Settings[K] | undefined> {
  const row = await db.selectFrom('setting').select('value').where('key', '=', key).executeTakeFirst()
  return row?.value as Settings[K] | undefined
}

export async function write<K extends keyof Settings>(db: Db, key: K, value: Settings[K]): Promise<void> {
  const text = JSON.stringify(value)
  await db
    .insertInto('setting')
    .values({ key, value: text })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: text }))
    .execute()
}
