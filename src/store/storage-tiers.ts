/** The tiers of storage that the catalogue offers, with their prices. */
import type { StorageTier } from '../model/bucket.ts'
import type { Catalog } from '../model/catalog.ts'
import type { Db } from './db.ts'

export interface StorageTierRow {
  id: StorageTier
  name: string
  description: string
  /** Of a GiB for a month, in minor units of `currency`. */
  priceGibMonthMinor: number
  currency: string
}

export const list = (db: Db): Promise<StorageTierRow[]> =>
  db
    .selectFrom('storage_tier')
    .select(['id', 'name', 'description', 'price_gib_month_minor as priceGibMonthMinor', 'currency'])
    .where('retired', '=', false)
    .orderBy('position')
    .execute()

export async function sync(tx: Db, tiers: Catalog['storageTiers']): Promise<void> {
  await tx.updateTable('storage_tier').set({ retired: true }).execute()
  for (const [position, tier] of tiers.entries()) {
    const values = {
      position,
      name: tier.name,
      description: tier.description,
      price_gib_month_minor: tier.priceGibMonthMinor,
      currency: tier.currency,
      retired: false,
    }
    await tx
      .insertInto('storage_tier')
      .values({ id: tier.id, ...values })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
      .execute()
  }
}
