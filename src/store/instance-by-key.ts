/** One instance by what no other has: its text id, its UUID or its number. */
import { sql } from 'kysely'
import { askAtOnceOf } from '../lib/at-once.ts'
import { isUuid } from '../model/ids.ts'
import type { Db } from './db.ts'
import { asInstance, type Instance, ROWS, type Row } from './instance-row.ts'

export interface Key {
  column: 'id' | 'uuid' | 'number'
  value: string | number
}

/** Null for what can only be a name. */
export function keyOf(ref: string | number): Key | null {
  if (typeof ref === 'number') return Number.isSafeInteger(ref) ? { column: 'number', value: ref } : null
  if (isUuid(ref)) return { column: 'uuid', value: ref.toLowerCase() }
  if (/^inst_[0-9a-z]{26}$/.test(ref)) return { column: 'id', value: ref }
  return /^[1-9]\d{0,14}$/.test(ref) ? { column: 'number', value: Number(ref) } : null
}

/** Of any account; null when there is none, or its deletion was requested. */
export const findByKey = (db: Db, key: Key): Promise<Instance | null> => oneOf(db)(key)

const AT_ONCE_MAX = 100

/** What a query costs besides its row is more than the row, so who asks in the same turn shares it. */
const oneOf = askAtOnceOf(AT_ONCE_MAX, async (db: Db, keys: readonly Key[]) => {
  const found = new Map<string | number, Instance>()
  for (const column of new Set(keys.map((key) => key.column))) {
    const values = [...new Set(keys.flatMap((key) => (key.column === column ? [key.value] : [])))]
    const { rows } = await sql<Row>`
      SELECT ${ROWS} WHERE ${sql.ref(`instance.${column}`)} ${among(column, values)}
        AND instance.delete_requested_at IS NULL`.execute(db)
    for (const row of rows) found.set(row[column], asInstance(row))
  }
  return keys.map(({ value }) => found.get(value) ?? null)
})

const TYPE = { id: 'text[]', uuid: 'uuid[]', number: 'bigint[]' } as const

/** The inner SELECT hides from the planner how many there are; it would plan anew each time that they are few. */
function among(column: Key['column'], values: readonly (string | number)[]) {
  if (values.length === 1) return sql`= ${values[0]}`
  const type = sql.raw(TYPE[column])
  return sql`= ANY ((SELECT ${values}::${type})::${type})`
}
