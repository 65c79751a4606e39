/** WAYSCloud's lists of what there is to choose from. All of them are bare arrays. */
import { z } from 'zod'
import { notFound } from '../../model/errors.ts'
import * as catalog from '../../services/catalog.ts'
import type { Ctx } from '../../services/ctx.ts'
import { route } from '../http/route.ts'
import {
  CloudRegion,
  OsTemplate,
  presentCloudRegion,
  presentPlan,
  presentRegion,
  presentTemplate,
  VpsPlan,
  VpsRegion,
} from './present.ts'

export const listPlans = route({
  method: 'GET',
  path: '/v1/vps/plans',
  summary: 'List plans',
  scope: 'instances:read',
  status: 200,
  answer: z.array(VpsPlan),
  run: async (ctx) => (await catalog.plans(ctx)).map(presentPlan),
})

/** Every plan is sold everywhere. */
export const listPlansOfRegion = route({
  method: 'GET',
  path: '/v1/vps/plans/region/{region}',
  summary: 'List plans of a region',
  scope: 'instances:read',
  noun: 'region',
  status: 200,
  params: z.object({ region: z.string() }),
  answer: z.array(VpsPlan),
  async run(ctx, { params }) {
    await regionOf(ctx, params.region)
    return (await catalog.plans(ctx)).map(presentPlan)
  },
})

/** Only what is installed, so that each of them can be created. */
export const listTemplates = route({
  method: 'GET',
  path: '/v1/vps/os-templates',
  summary: 'List OS templates',
  scope: 'instances:read',
  status: 200,
  answer: z.array(OsTemplate),
  run: async (ctx) => (await catalog.images(ctx)).filter(({ state }) => state === 'available').map(presentTemplate),
})

export const listVpsRegions = route({
  method: 'GET',
  path: '/v1/vps/regions',
  summary: 'List regions',
  scope: 'instances:read',
  status: 200,
  answer: z.array(VpsRegion),
  run: async (ctx) => (await catalog.regions(ctx)).map(presentRegion),
})

export const listRegions = route({
  method: 'GET',
  path: '/v1/regions',
  summary: 'List all regions and their services',
  scope: null,
  status: 200,
  answer: z.object({ regions: z.array(CloudRegion), total: z.int() }),
  async run(ctx) {
    const regions = (await catalog.regions(ctx)).map((region, index) => presentCloudRegion(region, servicesOf(index)))
    return { regions, total: regions.length }
  },
})

export const getRegion = route({
  method: 'GET',
  path: '/v1/regions/{code}',
  summary: 'Get a region',
  scope: null,
  noun: 'region',
  status: 200,
  params: z.object({ code: z.string() }),
  answer: CloudRegion,
  async run(ctx, { params }) {
    const region = await regionOf(ctx, params.code)
    const index = (await catalog.regions(ctx)).findIndex(({ id }) => id === region.id)
    return presentCloudRegion(region, servicesOf(index))
  },
})

/** Object storage lies in the first region. */
const servicesOf = (index: number): string[] => (index === 0 ? ['storage'] : [])

async function regionOf(ctx: Ctx, word: string) {
  const region = await catalog.findRegion(ctx, word)
  if (!region) throw notFound('region', word)
  return region
}
