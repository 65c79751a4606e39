/**
 * The catalogue: regions, plans, images and address pools, with every dialect's name for each. It is a JSON file
 * (`catalog/default.json`, or the one `HAVN_CATALOG` names); `up` writes it into the database, and its ids are fixed.
 */
import { z } from 'zod'
import { STORAGE_TIERS } from './bucket.ts'

/** What a dialect calls a thing where it has a word of its own: `{"<dialect>": "word"}`. */
const Names = z.record(z.string(), z.string().min(1).max(64))
export type Names = z.infer<typeof Names>

const Region = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]{1,32}$/),
  name: z.string(),
  country: z.string().length(2),
  city: z.string(),
  /** Other words for it, compared without case; unique over the file. */
  aliases: z.array(z.string()).default([]),
  /** They are understood like aliases. */
  names: Names.default({}),
  /** This machine stands here: it is the one region that the `qemu` driver serves. */
  local: z.boolean().default(false),
})

const Plan = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]{1,64}$/),
  number: z.int().positive(),
  name: z.string(),
  vcpus: z.int().positive(),
  memoryMib: z.int().positive(),
  diskGib: z.int().positive(),
  /** Terabytes of traffic a month. */
  trafficTb: z.number().positive(),
  /** In minor units of `currency`. */
  priceMonthlyMinor: z.int().nonnegative(),
  currency: z.string().length(3),
  names: Names.default({}),
})

const Image = z.strictObject({
  id: z.string().regex(/^[a-z0-9.-]{1,64}$/),
  number: z.int().positive(),
  name: z.string(),
  family: z.string(),
  version: z.string(),
  isWindows: z.boolean().default(false),
  minMemoryMib: z.int().positive().default(128),
  minDiskGib: z.int().positive().default(1),
  /** `micro` and `debian-12` can be built here; all others come by import. */
  builder: z.enum(['micro', 'debian']).nullable().default(null),
  names: Names.default({}),
})

const Pool = z.strictObject({
  family: z.union([z.literal(4), z.literal(6)]),
  cidr: z.string(),
  /** Where it is used; every region when absent. */
  region: z.string().optional(),
})

const StorageTier = z.strictObject({
  id: z.enum(STORAGE_TIERS),
  name: z.string(),
  description: z.string(),
  /** Of a GiB for a month, in minor units of `currency`. */
  priceGibMonthMinor: z.int().nonnegative(),
  currency: z.string().length(3),
})
/** For a catalogue that says nothing about storage. */
const FREE_STORAGE: z.infer<typeof StorageTier>[] = [
  { id: 'standard', name: 'Standard', description: 'For general use', priceGibMonthMinor: 0, currency: 'EUR' },
]

export const Catalog = z.strictObject({
  regions: z.array(Region).min(1),
  plans: z.array(Plan).min(1),
  images: z.array(Image).min(1),
  storageTiers: z.array(StorageTier).min(1).default(FREE_STORAGE),
  /** Blocks to take addresses from. Absent: `up` chooses private blocks that this machine does not use. */
  pools: z.array(Pool).optional(),
})
export type Catalog = z.infer<typeof Catalog>
export type CatalogRegion = Catalog['regions'][number]
export type CatalogPlan = Catalog['plans'][number]
export type CatalogImage = Catalog['images'][number]

export const IMAGE_STATES = ['absent', 'building', 'importing', 'available', 'failed'] as const
export type ImageState = (typeof IMAGE_STATES)[number]
