import * as catalog from '../../services/catalog.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentPlan, presentRegion } from './present/catalog.ts'
import { whole } from './present/common.ts'

export const listRegions = route({
  ...endpoints.listRegions,
  scope: 'instances:read',
  run: async (ctx) => whole(await catalog.regions(ctx), presentRegion),
})

export const listPlans = route({
  ...endpoints.listPlans,
  scope: 'instances:read',
  run: async (ctx) => whole(await catalog.plans(ctx), presentPlan),
})
