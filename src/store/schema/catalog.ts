/** What there is to choose from. */
import type { Generated } from 'kysely'
import type { StorageTier } from '../../model/bucket.ts'
import type { ImageState, Names } from '../../model/catalog.ts'
import type { AccountId } from '../../model/ids.ts'
import type { Json, JsonByDefault, TimestampByDefault } from './columns.ts'

export interface CatalogTables {
  region: {
    id: string
    position: number
    name: string
    country: string
    city: string
    aliases: string[]
    names: JsonByDefault<Names>
    retired: Generated<boolean>
  }
  plan: {
    id: string
    number: number
    position: number
    name: string
    vcpus: number
    memory_mib: number
    disk_gib: number
    traffic_tb: number
    price_monthly_minor: number
    currency: string
    names: JsonByDefault<Names>
    retired: Generated<boolean>
  }
  image: {
    id: string
    account_id: AccountId | null
    number: number
    position: number
    name: string
    family: string
    version: string
    is_windows: boolean
    min_memory_mib: number
    min_disk_gib: number
    builder: 'micro' | 'debian' | null
    names: JsonByDefault<Names>
    retired: Generated<boolean>
    state: Generated<ImageState>
    state_reason: string | null
    digest: string | null
    virtual_bytes: number | null
    file_bytes: number | null
    source: Json<unknown> | null
    updated_at: TimestampByDefault
  }
  storage_tier: {
    id: StorageTier
    position: number
    name: string
    description: string
    price_gib_month_minor: number
    currency: string
    retired: Generated<boolean>
  }
}
