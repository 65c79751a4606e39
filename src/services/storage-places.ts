/** What the places are called that buckets lie in. Not what clients sign with: that is a setting. */
import { listRegions } from '../store/catalog.ts'
import type { Db } from '../store/db.ts'

/**
 * The names of the region where the objects are, the one we say first: a name that ends like `no-oslo-1`, which is how
 * storage is named; the region's other names are understood as well.
 */
export async function storagePlaces(db: Db): Promise<[string, ...string[]]> {
  const [region] = await listRegions(db)
  const names = region ? [...region.aliases, region.id] : ['local']
  return names.sort((a, b) => Number(/-\d+$/.test(b)) - Number(/-\d+$/.test(a))) as [string, ...string[]]
}
