/** The catalogue's rows: regions, plans and images. The file is the truth for what they are, the rows for image states. */
import { sql } from 'kysely'
import type { Catalog, Names } from '../model/catalog.ts'
import type { Db } from './db.ts'
import * as storageTiers from './storage-tiers.ts'

/** Writes the file into the rows. What the file no longer names is retired, not deleted: instances may stand on it. */
export async function sync(tx: Db, catalog: Catalog): Promise<void> {
  await tx.updateTable('region').set({ retired: true }).execute()
  await tx.updateTable('plan').set({ retired: true }).execute()
  await tx.updateTable('image').set({ retired: true }).where('account_id', 'is', null).execute()
  for (const [position, region] of catalog.regions.entries()) {
    const values = {
      position,
      name: region.name,
      country: region.country,
      city: region.city,
      aliases: region.aliases.map((alias) => alias.toLowerCase()),
      names: JSON.stringify(region.names),
      retired: false,
    }
    await tx
      .insertInto('region')
      .values({ id: region.id, ...values })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
      .execute()
  }
  for (const [position, plan] of catalog.plans.entries()) {
    const values = {
      position,
      number: plan.number,
      name: plan.name,
      vcpus: plan.vcpus,
      memory_mib: plan.memoryMib,
      disk_gib: plan.diskGib,
      traffic_tb: plan.trafficTb,
      price_monthly_minor: plan.priceMonthlyMinor,
      currency: plan.currency,
      names: JSON.stringify(plan.names),
      retired: false,
    }
    await tx
      .insertInto('plan')
      .values({ id: plan.id, ...values })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
      .execute()
  }
  for (const [position, image] of catalog.images.entries()) {
    const values = {
      position,
      number: image.number,
      name: image.name,
      family: image.family,
      version: image.version,
      is_windows: image.isWindows,
      min_memory_mib: image.minMemoryMib,
      min_disk_gib: image.minDiskGib,
      builder: image.builder,
      names: JSON.stringify(image.names),
      retired: false,
    }
    await tx
      .insertInto('image')
      .values({ id: image.id, ...values })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
      .execute()
  }
  await storageTiers.sync(tx, catalog.storageTiers)
}

export interface Region {
  id: string
  name: string
  country: string
  city: string
  aliases: string[]
  names: Names
  /** A host of it is online. */
  available: boolean
}

export const listRegions = (db: Db): Promise<Region[]> =>
  db
    .selectFrom('region')
    .select(['id', 'name', 'country', 'city', 'aliases', 'names'])
    .select(
      sql<boolean>`EXISTS (SELECT 1 FROM host WHERE region_id = region.id AND is_online
        AND seen_at > cloud_now() - interval '30 seconds')`.as('available'),
    )
    .where('retired', '=', false)
    .orderBy('position')
    .execute()

export interface Plan {
  id: string
  number: number
  name: string
  vcpus: number
  memoryMib: number
  diskGib: number
  trafficTb: number
  priceMonthlyMinor: number
  currency: string
  names: Names
}

const PLAN_COLUMNS = [
  'id',
  'number',
  'name',
  'vcpus',
  'memory_mib as memoryMib',
  'disk_gib as diskGib',
  'traffic_tb as trafficTb',
  'price_monthly_minor as priceMonthlyMinor',
  'currency',
  'names',
] as const

export const listPlans = (db: Db): Promise<Plan[]> =>
  db.selectFrom('plan').select(PLAN_COLUMNS).where('retired', '=', false).orderBy('position').execute()
