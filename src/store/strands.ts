/** The SQL of strands: leasing, moving, napping, waking. The rules they serve are told in jobs/engine/strand.ts. */
import { sql } from 'kysely'
import type { HostId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface Lease {
  id: string
  kind: string
  step: string
  token: number
  wakes: number
  tries: number
  intents: string[]
  state: Record<string, unknown>
  stepEnteredAt: Date
  /** Its deadline has passed. */
  isOverdue: boolean
}

/** Thrown by every fenced write of a worker that lost its lease. */
export class LeaseLost extends Error {
  constructor(id: string) {
    super(`the lease on strand ${id} is lost`)
    this.name = 'LeaseLost'
  }
}

/** NOTIFY channel; the payload is the intent that came, or empty. Only a hint: workers poll as well. */
export const STRAND_CHANNEL = 'havn_strand'

export interface NewStrand {
  id: string
  kind: string
  step: string
  hostId?: HostId | null
  state?: Record<string, unknown>
  /** From now; null = none. */
  deadlineMs: number | null
}

export async function create(tx: Db, strand: NewStrand): Promise<void> {
  await tx
    .insertInto('strand')
    .values({
      id: strand.id,
      kind: strand.kind,
      step: strand.step,
      host_id: strand.hostId ?? null,
      state: JSON.stringify(strand.state ?? {}),
      deadline_at: sql<Date>`cloud_now() + ${strand.deadlineMs}::float8 * interval '1 ms'`,
    })
    .execute()
  await notify(tx)
}

/** Makes the strand run soon. In a transaction the wake and the reason for it commit together. */
export async function wake(db: Db, id: string, intent?: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    UPDATE strand SET wakes = wakes + 1, wake_at = least(wake_at, cloud_now()),
      intents = CASE WHEN ${intent ?? null}::text IS NULL OR ${intent ?? null} = ANY(intents) THEN intents
                     ELSE array_append(intents, ${intent ?? null}) END
    WHERE id = ${id}`.execute(db)
  await notify(db, intent)
  return (numAffectedRows ?? 0n) > 0n
}

/** Several rows are always locked in the order of their ids, so that no two such statements wait for each other. */
export async function wakeAll(db: Db, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await sql`
    WITH rows AS (SELECT id FROM strand WHERE id = ANY(${ids}) ORDER BY id FOR UPDATE)
    UPDATE strand SET wakes = wakes + 1, wake_at = least(wake_at, cloud_now())
    FROM rows WHERE strand.id = rows.id`.execute(db)
  await notify(db)
}

export const setHost = async (tx: Db, id: string, hostId: HostId | null): Promise<void> => {
  await tx.updateTable('strand').set({ host_id: hostId }).where('id', '=', id).execute()
}

async function notify(db: Db, intent = ''): Promise<void> {
  await sql`SELECT pg_notify(${STRAND_CHANNEL}, ${intent})`.execute(db)
}

/** Leases up to `limit` due strands of these hosts (and of no host) for `leaseMs`. */
export async function lease(
  db: Db,
  worker: string,
  hosts: readonly HostId[],
  limit: number,
  leaseMs: number,
): Promise<Lease[]> {
  const { rows } = await sql<Lease>`
    WITH time AS (SELECT cloud_now() AS now),
    due AS (
      SELECT id FROM strand, time
      WHERE wake_at <= time.now AND (leased_until IS NULL OR leased_until < time.now)
        AND (host_id IS NULL OR host_id = ANY(${hosts}))
      ORDER BY wake_at LIMIT ${limit} FOR UPDATE OF strand SKIP LOCKED
    )
    UPDATE strand SET lease_token = lease_token + 1, leased_by = ${worker},
      leased_until = (SELECT now FROM time) + ${leaseMs} * interval '1 ms'
    FROM due WHERE strand.id = due.id
    RETURNING strand.id, kind, step, lease_token AS token, wakes, tries, intents, state,
      step_entered_at AS "stepEnteredAt",
      coalesce(deadline_at < (SELECT now FROM time), false) AS "isOverdue"`.execute(db)
  return rows
}

/** Lengthens the leases that this worker still holds and returns their intents; an id that is missing is lost. */
export async function renew(db: Db, leases: readonly Lease[], leaseMs: number): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ id: string; intents: string[] }>`
    WITH held AS (
      SELECT strand.id, token
      FROM unnest(${leases.map(({ id }) => id)}::text[], ${leases.map(({ token }) => token)}::bigint[]) AS mine (id, token)
      JOIN strand ON strand.id = mine.id ORDER BY strand.id FOR UPDATE OF strand
    )
    UPDATE strand SET leased_until = cloud_now() + ${leaseMs} * interval '1 ms'
    FROM held WHERE strand.id = held.id AND lease_token = held.token AND leased_by IS NOT NULL
    RETURNING strand.id, intents`.execute(db)
  return new Map(rows.map((row) => [row.id, row.intents]))
}

/** Gives a lease back unused; nothing happens when it was lost meanwhile. */
export async function release(db: Db, { id, token }: Lease): Promise<void> {
  await sql`UPDATE strand SET leased_by = NULL, leased_until = NULL
    WHERE id = ${id} AND lease_token = ${token}`.execute(db)
}

/** Locks the row under this lease for the rest of the transaction, or throws `LeaseLost`. */
export async function fence(tx: Db, { id, token }: Lease): Promise<void> {
  const { rows } =
    await sql`SELECT 1 FROM strand WHERE id = ${id} AND lease_token = ${token} AND leased_by IS NOT NULL FOR UPDATE`.execute(
      tx,
    )
  if (rows.length === 0) throw new LeaseLost(id)
}

export interface Move {
  step: string
  /** From now; null = until woken. */
  wakeInMs: number | null
  /** From now; null = none. Only read when the step changes, or when `restartDeadline`. */
  deadlineMs: number | null
  state: Record<string, unknown> | undefined
  /** Intents that this move has taken care of. */
  dropIntents: readonly string[]
  tries: number
  lastError: string | null
  keepLease: boolean
}

export interface Moved {
  wakes: number
  intents: string[]
  stepEnteredAt: Date
}

const NEVER = '9999-01-01T00:00:00Z'

/**
 * Writes what comes next and, unless `keepLease`, gives the lease back. A nap is compare-and-set: when a wake came
 * since the leasing, the strand is due at once. Returns the row's `wakes` and intents for a worker that goes on.
 */
export async function move(db: Db, lease: Lease, next: Move): Promise<Moved> {
  const stays = next.step === lease.step
  const { rows } = await sql<Moved>`
    UPDATE strand SET step = ${next.step},
      state = coalesce(${next.state === undefined ? null : JSON.stringify(next.state)}::jsonb, state),
      wake_at = CASE WHEN wakes <> ${lease.wakes} OR ${next.wakeInMs}::float8 = 0 THEN cloud_now()
                     ELSE coalesce(cloud_now() + ${next.wakeInMs}::float8 * interval '1 ms', ${NEVER}) END,
      intents = CASE WHEN cardinality(${next.dropIntents}::text[]) = 0 THEN intents
                     ELSE ARRAY(SELECT unnest(intents) EXCEPT SELECT unnest(${next.dropIntents}::text[])) END,
      tries = ${next.tries}, last_error = ${next.lastError},
      step_entered_at = CASE WHEN ${stays} THEN step_entered_at ELSE cloud_now() END,
      deadline_at = CASE WHEN ${stays} THEN deadline_at ELSE cloud_now() + ${next.deadlineMs}::float8 * interval '1 ms' END,
      leased_by = CASE WHEN ${next.keepLease} THEN leased_by END,
      leased_until = CASE WHEN ${next.keepLease} THEN leased_until END
    WHERE id = ${lease.id} AND lease_token = ${lease.token} AND leased_by IS NOT NULL
    RETURNING wakes, intents, step_entered_at AS "stepEnteredAt"`.execute(db)
  if (!rows[0]) throw new LeaseLost(lease.id)
  return rows[0]
}

export async function remove(tx: Db, { id, token }: Lease): Promise<void> {
  const { numAffectedRows } =
    await sql`DELETE FROM strand WHERE id = ${id} AND lease_token = ${token} AND leased_by IS NOT NULL`.execute(tx)
  if (!numAffectedRows) throw new LeaseLost(id)
}

/** At the start of a worker: what an earlier one of the same name held is free at once, and its writes are fenced off. */
export async function releaseAllOf(db: Db, worker: string): Promise<number> {
  const { numAffectedRows } = await sql`
    UPDATE strand SET leased_by = NULL, leased_until = NULL, lease_token = lease_token + 1
    WHERE leased_by = ${worker}`.execute(db)
  return Number(numAffectedRows ?? 0)
}

/** Gives a strand a fresh start: tries and deadline begin anew and it is due now. */
export async function restart(tx: Db, id: string, deadlineMs: number | null): Promise<boolean> {
  const { numAffectedRows } = await sql`
    UPDATE strand SET tries = 0, wakes = wakes + 1, wake_at = cloud_now(),
      deadline_at = cloud_now() + ${deadlineMs}::float8 * interval '1 ms'
    WHERE id = ${id}`.execute(tx)
  await notify(tx)
  return (numAffectedRows ?? 0n) > 0n
}

/** Milliseconds until the next strand of these hosts is due; null when none ever will be. */
export async function nextDueInMs(db: Db, hosts: readonly HostId[]): Promise<number | null> {
  const { rows } = await sql<{ ms: number | null }>`
    SELECT extract(epoch FROM min(greatest(wake_at, coalesce(leased_until, wake_at))) - cloud_now()) * 1000 AS ms
    FROM (SELECT wake_at, leased_until FROM strand
          WHERE (host_id IS NULL OR host_id = ANY(${hosts})) AND wake_at < ${NEVER} ORDER BY wake_at LIMIT 20) AS soon`.execute(
    db,
  )
  const ms = rows[0]?.ms
  return ms === null || ms === undefined ? null : Math.max(0, Number(ms))
}

export async function find(db: Db, id: string) {
  return db.selectFrom('strand').selectAll().where('id', '=', id).executeTakeFirst()
}

export async function countByStep(db: Db): Promise<{ kind: string; step: string; count: number }[]> {
  return db
    .selectFrom('strand')
    .select(['kind', 'step', (eb) => eb.fn.countAll<number>().as('count')])
    .groupBy(['kind', 'step'])
    .execute()
}
