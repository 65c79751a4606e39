/**
 * IP address management. A pool hands out its addresses in order and remembers how far it came, so an allocation costs
 * the same in a pool of a hundred and of a million; a released address rests in quarantine before anybody gets it again.
 */
import { sql } from 'kysely'
import type { InstanceId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface NewPool {
  family: 4 | 6
  cidr: string
  regionId: string | null
}

/** The pools of the catalogue or of the first start; one that is no longer named is kept for what was given out. */
export async function syncPools(tx: Db, pools: readonly NewPool[]): Promise<void> {
  await tx.updateTable('address_pool').set({ retired: true }).execute()
  for (const pool of pools) {
    await tx
      .insertInto('address_pool')
      .values({ family: pool.family, cidr: pool.cidr, region_id: pool.regionId })
      .onConflict((conflict) => conflict.column('cidr').doUpdateSet({ retired: false, region_id: pool.regionId }))
      .execute()
  }
}

export const listPools = (db: Db) =>
  db.selectFrom('address_pool').selectAll().where('retired', '=', false).orderBy('id').execute()

/** One address of that family for an instance, or null when every pool of the region is used up. */
export async function allocate(
  tx: Db,
  family: 4 | 6,
  regionId: string,
  instanceId: InstanceId,
): Promise<string | null> {
  const pools = await tx
    .selectFrom('address_pool')
    .select('id')
    .where('family', '=', family)
    .where('retired', '=', false)
    .where((eb) => eb.or([eb('region_id', 'is', null), eb('region_id', '=', regionId)]))
    .orderBy('id')
    .execute()
  for (const pool of pools) {
    const address = (await takeNext(tx, pool.id, instanceId)) ?? (await takeReleased(tx, pool.id, instanceId))
    if (address) return address
  }
  return null
}

/** Fresh addresses first, so that a released one rests as long as it can. The last of an IPv4 block is its broadcast. */
async function takeNext(tx: Db, poolId: number, instanceId: InstanceId): Promise<string | null> {
  const { rows } = await sql<{ address: string }>`
    WITH pool AS (
      UPDATE address_pool SET next_offset = next_offset + 1
      WHERE id = ${poolId} AND next_offset
        < power(2::numeric, least((CASE family WHEN 4 THEN 32 ELSE 128 END) - masklen(cidr), 62)) - 1
      RETURNING id, family, host(cidr)::inet + (next_offset - 1) AS address
    )
    INSERT INTO ip_address (address, pool_id, family, instance_id)
    SELECT address, id, family, ${instanceId} FROM pool
    RETURNING host(address) AS address`.execute(tx)
  return rows[0]?.address ?? null
}

async function takeReleased(tx: Db, poolId: number, instanceId: InstanceId): Promise<string | null> {
  const { rows } = await sql<{ address: string }>`
    UPDATE ip_address SET instance_id = ${instanceId}, allocated_at = cloud_now(), quarantined_until = NULL
    WHERE address = (
      SELECT address FROM ip_address
      WHERE pool_id = ${poolId} AND instance_id IS NULL AND quarantined_until <= cloud_now()
      ORDER BY quarantined_until LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING host(address) AS address`.execute(tx)
  return rows[0]?.address ?? null
}

export async function release(tx: Db, instanceId: InstanceId, quarantineMinutes: number): Promise<void> {
  await sql`UPDATE ip_address SET instance_id = NULL,
      quarantined_until = cloud_now() + ${quarantineMinutes} * interval '1 minute'
    WHERE instance_id = ${instanceId}`.execute(tx)
}
