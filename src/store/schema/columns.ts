/** Types of columns that several tables have. */
import type { ColumnType } from 'kysely'

export type Timestamp = ColumnType<Date, Date | string, Date | string>
export type TimestampByDefault = ColumnType<Date, Date | string | undefined, Date | string>
/** A jsonb column, written as text. */
export type Json<T> = ColumnType<T, string, string>
export type JsonByDefault<T> = ColumnType<T, string | undefined, string>
