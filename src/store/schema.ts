/** The tables as TypeScript sees them, by what they are about; migrations/ is what makes them. */
import type { ColumnType, Generated } from 'kysely'
import type { AccountTables } from './schema/accounts.ts'
import type { BackupTables } from './schema/backups.ts'
import type { CatalogTables } from './schema/catalog.ts'
import type { Json } from './schema/columns.ts'
import type { InstanceTables } from './schema/instances.ts'
import type { ObjectTables } from './schema/objects.ts'
import type { WorkTables } from './schema/work.ts'

export interface Schema extends AccountTables, CatalogTables, InstanceTables, WorkTables, ObjectTables, BackupTables {
  clock: { only_row: Generated<boolean>; time_offset: ColumnType<unknown, string, string> }
  setting: { key: string; value: Json<unknown> }
}
