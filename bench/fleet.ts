/** A fleet that is simply there: rows, addresses, resting strands and simulated machines, without 25,000 creations. */
import { sql } from 'kysely'
import type { Simulator } from '../src/drivers/compute/simulator.ts'
import type { AccountId } from '../src/model/ids.ts'
import { newIdentity } from '../src/model/ids.ts'
import type { InstanceSpec } from '../src/model/instance-spec.ts'
import { type Db, execute } from '../src/store/db.ts'

/** PostgreSQL takes 65,535 parameters in one statement. */
const BATCH = 1_000
const { signal } = new AbortController()

export interface Fleet {
  count: number
  accountId: AccountId
  /** Where machines are wanted too; only rows when absent. */
  simulator?: Simulator
}

export interface Seeded {
  uuid: string
  number: number
}

/** Makes running instances of that account, spread over the hosts there are. */
export async function seedFleet(db: Db, { count, accountId, simulator }: Fleet): Promise<Seeded[]> {
  const hosts = await db.selectFrom('host').select(['id', 'region_id']).execute()
  const region = await db.selectFrom('region').select('id').orderBy('position').executeTakeFirstOrThrow()
  const plan = await db.selectFrom('plan').selectAll().orderBy('position').executeTakeFirstOrThrow()
  const image = await db.selectFrom('image').select('id').orderBy('position').executeTakeFirstOrThrow()
  const seeded: Seeded[] = []
  for (let first = 0; first < count; first += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - first) }, (_, i) => {
      const host = hosts[(first + i) % Math.max(1, hosts.length)]
      const identity = newIdentity('instance')
      return {
        ...identity,
        account_id: accountId,
        region_id: host?.region_id ?? region.id,
        plan_id: plan.id,
        image_id: image.id,
        host_id: host?.id ?? null,
        name: `bench-${first + i}`,
        hostname: `bench-${first + i}`,
        vcpus: plan.vcpus,
        memory_mib: plan.memory_mib,
        disk_gib: plan.disk_gib,
        mac: `52:${identity.uuid.slice(-10).replace(/..(?!$)/g, '$&:')}`,
        state: 'running' as const,
        provisioned_at: new Date(),
        started_at: new Date(),
      }
    })
    seeded.push(...(await db.insertInto('instance').values(batch).returning(['uuid', 'number']).execute()))
    for (const { id, hostname } of simulator ? batch : []) {
      const spec = { id, hostname, generation: 1 } as InstanceSpec // what the simulator looks at
      await simulator?.ensureDisk(spec, signal)
      await simulator?.ensureRunning(spec, signal)
    }
  }
  await seedAddresses(db)
  await sql`INSERT INTO strand (id, kind, step, host_id, wake_at)
    SELECT id, 'instance', 'settle', host_id, '9999-01-01T00:00:00Z' FROM instance ON CONFLICT DO NOTHING`.execute(db)
  await execute(db, 'VACUUM ANALYZE')
  return seeded
}

/** One address per family and instance, each from the first pool of the family. */
async function seedAddresses(db: Db): Promise<void> {
  await sql`WITH pool AS (SELECT DISTINCT ON (family) id, family, cidr, next_offset FROM address_pool ORDER BY family, id),
    bare AS (SELECT id, row_number() OVER (ORDER BY number) - 1 AS position FROM instance
             WHERE NOT EXISTS (SELECT FROM ip_address WHERE instance_id = instance.id)),
    given AS (INSERT INTO ip_address (address, pool_id, family, instance_id)
              SELECT host(pool.cidr::inet + (pool.next_offset + bare.position))::inet, pool.id, pool.family, bare.id
              FROM pool, bare RETURNING pool_id)
    UPDATE address_pool SET next_offset = next_offset + (SELECT count(*) FROM given WHERE pool_id = address_pool.id)`.execute(
    db,
  )
}
