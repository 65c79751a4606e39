/** What the tests of VPS.org's dialect share. */
import { census, type Wire } from '../wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
export type Json = any
export const SERVERS = '/api/v1/servers/'
export const SERVER = { name: 'web-2', plan_id: 1, os_id: 1, location: 'us-west' }

/** Without the events: servers that are on their way go on making some. */
export async function made({ db }: Wire): Promise<Record<string, number>> {
  const { event: _, ...counts } = await census(db)
  return counts
}
