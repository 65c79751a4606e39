import type * as catalog from '../../../services/catalog.ts'
import type * as contract from '../contract/catalog.ts'
import type { Item } from './common.ts'

type Region = Item<typeof catalog.regions>
type Plan = Item<typeof catalog.plans>

export const presentRegion = ({ id, name, country, city, aliases, available }: Region): contract.Region => ({
  id,
  name,
  country,
  city,
  aliases,
  available,
})

export const presentPlan = (plan: Plan): contract.Plan => ({
  id: plan.id,
  number: plan.number,
  name: plan.name,
  vcpus: plan.vcpus,
  memoryMib: plan.memoryMib,
  diskGib: plan.diskGib,
  trafficTb: plan.trafficTb,
  priceMonthlyMinor: plan.priceMonthlyMinor,
  currency: plan.currency,
})
