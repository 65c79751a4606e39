import { sql } from 'kysely'
import { type IncidentId, newId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface NewIncident {
  strandId: string
  kind: string
  step: string
  message: string
}

/** Opens it, or brings the message of the open one of that kind up to date. */
export async function open(db: Db, incident: NewIncident): Promise<void> {
  await db
    .insertInto('incident')
    .values({
      id: newId('incident'),
      strand_id: incident.strandId,
      kind: incident.kind,
      step: incident.step,
      message: incident.message,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['strand_id', 'kind'])
        .where('resolved_at', 'is', null)
        .doUpdateSet({ message: incident.message, step: incident.step }),
    )
    .execute()
}

/** Closes what is open of a strand, of one kind or of all. */
export async function resolve(db: Db, strandId: string, resolution: string, kind?: string): Promise<void> {
  await db
    .updateTable('incident')
    .set({ resolved_at: sql<Date>`cloud_now()`, resolution })
    .where('strand_id', '=', strandId)
    .where('resolved_at', 'is', null)
    .$if(kind !== undefined, (query) => query.where('kind', '=', kind as string))
    .execute()
}

export interface IncidentFilter {
  openOnly?: boolean
  limit: number
  offset: number
}
export async function list(db: Db, { openOnly, limit, offset }: IncidentFilter) {
  const base = db.selectFrom('incident').$if(openOnly === true, (query) => query.where('resolved_at', 'is', null))
  const [items, { total }] = await Promise.all([
    base.selectAll().orderBy('opened_at', 'desc').orderBy('id', 'desc').limit(limit).offset(offset).execute(),
    base.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow(),
  ])
  return { items, total }
}

/** By text id or number; locked for the transaction. */
export async function lock(tx: Db, ref: string) {
  return tx
    .selectFrom('incident')
    .selectAll()
    .where((eb) => (/^\d{1,15}$/.test(ref) ? eb('number', '=', Number(ref)) : eb('id', '=', ref as IncidentId)))
    .forUpdate()
    .executeTakeFirst()
}

export async function countOpen(db: Db): Promise<number> {
  const { count } = await db
    .selectFrom('incident')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('resolved_at', 'is', null)
    .executeTakeFirstOrThrow()
  return count
}
