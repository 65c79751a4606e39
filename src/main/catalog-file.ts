/** Reads the catalogue file and says in plain words what is wrong with it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Catalog } from '../model/catalog.ts'
import type { Config } from './config.ts'

const DEFAULT_FILE = join(import.meta.dirname, '../../catalog/default.json')

export async function readCatalog(config: Config): Promise<Catalog> {
  const file = config.catalogFile ?? DEFAULT_FILE
  let json: unknown
  try {
    json = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new Error(`the catalogue ${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  const parsed = Catalog.safeParse(json)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
  throw new Error(`the catalogue ${file} is wrong:\n${issues.join('\n')}`)
}

/** Where this machine stands: the region marked `local`, or the first. */
export async function localRegionId(config: Config): Promise<string> {
  const { regions } = await readCatalog(config)
  return (regions.find(({ local }) => local) ?? regions[0]!).id
}
