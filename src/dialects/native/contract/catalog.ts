/** What instances are made of: regions and plans. Images are in `images.ts`. */
import { z } from 'zod'
import { type Endpoint, listOf, V } from './common.ts'

export const Region = z
  .object({
    id: z.string(),
    name: z.string(),
    country: z.string(),
    city: z.string(),
    aliases: z.array(z.string()),
    available: z.boolean().describe('a host stands there'),
  })
  .meta({ id: 'Region' })
export type Region = z.infer<typeof Region>

export const Plan = z
  .object({
    id: z.string(),
    number: z.int(),
    name: z.string(),
    vcpus: z.int(),
    memoryMib: z.int(),
    diskGib: z.int(),
    trafficTb: z.number().describe('a month'),
    priceMonthlyMinor: z.int().describe('in minor units of `currency`'),
    currency: z.string(),
  })
  .meta({ id: 'Plan' })
export type Plan = z.infer<typeof Plan>

export const catalogEndpoints = {
  listRegions: { method: 'GET', path: `${V}/regions`, summary: 'List regions', status: 200, answer: listOf(Region) },
  listPlans: { method: 'GET', path: `${V}/plans`, summary: 'List plans', status: 200, answer: listOf(Plan) },
} as const satisfies Record<string, Endpoint>
