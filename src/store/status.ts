/** Counts over the whole installation or one account, for those who watch it. */
import { sql } from 'kysely'
import type { AccountId } from '../model/ids.ts'
import type { InstanceState } from '../model/instance.ts'
import type { Db } from './db.ts'

/** Instances that are not deleted, by state; states that none is in are not there. `accountId` null = of everybody. */
export async function instancesByState(
  db: Db,
  accountId: AccountId | null,
): Promise<Partial<Record<InstanceState, number>>> {
  const rows = await db
    .selectFrom('instance')
    .select(['state', (eb) => eb.fn.countAll<number>().as('count')])
    .where('state', '<>', 'deleted')
    .$if(accountId !== null, (query) =>
      query.where('account_id', '=', accountId!).where('delete_requested_at', 'is', null),
    )
    .groupBy('state')
    .execute()
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]))
}

/** `due`: could be worked on now and is not; a large number that stays means too few workers. */
export async function strands(db: Db): Promise<{ total: number; due: number; leased: number }> {
  const { rows } = await sql<{ total: number; due: number; leased: number }>`
    SELECT count(*) AS total,
      count(*) FILTER (WHERE leased_by IS NULL AND wake_at <= cloud_now()) AS due,
      count(*) FILTER (WHERE leased_by IS NOT NULL AND leased_until > cloud_now()) AS leased
    FROM strand`.execute(db)
  return rows[0]!
}
