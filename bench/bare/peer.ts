/** What bare.ts needs to know of one API: two paths, two SELECTs, two mappings. */

// biome-ignore lint/suspicious/noExplicitAny: rows as pg hands them on
export type Row = any

export interface BarePeer {
  one: {
    /** With `:id`. */
    path: string
    /** $1 is the id, $2 the account. */
    sql: string
    answer(row: Row): unknown
  }
  list: {
    path: string
    /** $1 is the account; $2 and $3 are limit and offset where the list has pages. */
    sql: string
    /** Null: it has none, and another account is asked. */
    page: ((query: Record<string, string>) => [limit: number, offset: number]) | null
    answer(rows: Row[], total: number, page: [limit: number, offset: number]): unknown
  }
}

export const seconds = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, 'Z')
