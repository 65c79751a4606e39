/** Our nouns in Leaseweb's words; docs/dialects/leaseweb.md has the table. */
import { z } from 'zod'
import type { InstanceState } from '../../model/instance.ts'
import { isOpen } from '../../model/operation.ts'
import type { SnapshotState } from '../../model/snapshot.ts'
import type * as catalog from '../../services/catalog.ts'
import type { Instance } from '../../services/instances.ts'
import type { Operation } from '../../services/operations.ts'
import type * as snapshots from '../../services/snapshots.ts'
import { ContractTime, contractTime, endOfTerm, Time, time } from './time.ts'

/** By this name the catalogue holds the words of this dialect. */
const DIALECT = 'leaseweb'

const STATES = ['RUNNING', 'STOPPED', 'STARTING', 'STOPPING', 'UNKNOWN'] as const
type State = (typeof STATES)[number]

const STATE: Record<InstanceState, State> = {
  provisioning: 'STARTING',
  stopped: 'STOPPED',
  starting: 'STARTING',
  running: 'RUNNING',
  stopping: 'STOPPING',
  rebooting: 'STARTING',
  rebuilding: 'STARTING',
  restoring: 'STOPPED',
  failed: 'UNKNOWN',
  deleting: 'STOPPING',
  deleted: 'STOPPED',
}
/** What goes down to come up again is seen doing both. */
const GOES_DOWN_FIRST: readonly InstanceState[] = ['rebooting', 'rebuilding']

/** What runs already and has not been seen ready yet is the new system of a reinstall. */
const stateOf = ({ state, startedAt, provisionedAt }: Instance): State =>
  GOES_DOWN_FIRST.includes(state) && startedAt !== null && provisionedAt !== null ? 'STOPPING' : STATE[state]

const OFFERINGS = ['S', 'M', 'L', 'XL'] as const
type Offering = (typeof OFFERINGS)[number]
/** For a plan that the catalogue has no word for: by its memory, as the plans that come with Havn. */
const OFFERING_UP_TO_MIB: readonly [Offering, number][] = [
  ['S', 2_048],
  ['M', 4_096],
  ['L', 8_192],
]

function offeringOf({ plan }: Instance): Offering {
  const named = OFFERINGS.find((offering) => offering === plan.names[DIALECT])
  return named ?? OFFERING_UP_TO_MIB.find(([, memoryMib]) => plan.memoryMib <= memoryMib)?.[0] ?? 'XL'
}

const Contract = z
  .object({
    id: z.string(),
    startsAt: ContractTime,
    endsAt: ContractTime,
    billingCycle: z.int(),
    billingFrequency: z.literal('MONTH'),
    pricePerFrequency: z.number(),
    currency: z.string(),
  })
  .meta({ id: 'Contract' })

const Hardware = z
  .object({
    cpu: z.object({ cores: z.int() }),
    memory: z.object({ unit: z.literal('MB'), amount: z.number() }),
    storage: z.object({ unit: z.literal('GB'), amount: z.number() }),
  })
  .meta({ id: 'Hardware' })

const Iso = z.object({ id: z.string(), name: z.string(), displayName: z.string() }).meta({ id: 'Iso' })

const Ip = z
  .object({ ip: z.string(), version: z.union([z.literal(4), z.literal(6)]), type: z.enum(['PUBLIC', 'PRIVATE']) })
  .meta({ id: 'Ip' })

export const VirtualServer = z
  .object({
    id: z.string(),
    reference: z.string().nullable(),
    customerId: z.string(),
    dataCenter: z.string(),
    cloudServerId: z.null(),
    state: z.enum(STATES),
    firewallState: z.enum(['DISABLED', 'ENABLED', 'UNKNOWN']),
    template: z.string(),
    serviceOffering: z.enum(OFFERINGS),
    sla: z.string(),
    contract: Contract,
    hardware: Hardware,
    iso: Iso.nullable(),
    ips: z.array(Ip),
  })
  .meta({ id: 'VirtualServer' })

export const presentServer = (instance: Instance): z.infer<typeof VirtualServer> => ({
  id: String(instance.number),
  reference: instance.reference,
  customerId: String(instance.accountNumber),
  dataCenter: instance.regionNames[DIALECT] ?? instance.regionId,
  cloudServerId: null,
  state: stateOf(instance),
  firewallState: 'DISABLED',
  template: templateName(instance.image),
  serviceOffering: offeringOf(instance),
  sla: 'Bronze',
  contract: {
    id: String(instance.number),
    startsAt: contractTime(instance.createdAt),
    endsAt: contractTime(endOfTerm(instance.createdAt, instance.readAt)),
    billingCycle: 1,
    billingFrequency: 'MONTH',
    pricePerFrequency: instance.plan.priceMonthlyMinor / 100,
    currency: instance.plan.currency,
  },
  hardware: {
    cpu: { cores: instance.vcpus },
    memory: { unit: 'MB', amount: instance.memoryMib },
    storage: { unit: 'GB', amount: instance.diskGib },
  },
  iso: null,
  ips: [
    ...(instance.ipv4 === null ? [] : [{ ip: instance.ipv4, version: 4 as const, type: 'PUBLIC' as const }]),
    ...(instance.ipv6 === null ? [] : [{ ip: instance.ipv6, version: 6 as const, type: 'PUBLIC' as const }]),
  ],
})

type Image = Awaited<ReturnType<typeof catalog.images>>[number]

export const Template = z.object({ id: z.string(), name: z.string() }).meta({ id: 'Template' })
export const presentTemplate = (image: Image): z.infer<typeof Template> => ({
  id: templateId(image),
  name: templateName(image),
})
export const templateId = ({ id, names }: Pick<Image, 'id' | 'names'>): string =>
  names[DIALECT] ?? id.toUpperCase().replace(/[^A-Z0-9]+/g, '_')
const templateName = ({ name }: Pick<Image, 'name'>): string => `${name} (64-bit)`

export const Job = z
  .object({ id: z.string(), name: z.string(), status: z.enum(['PENDING', 'COMPLETED']), createdAt: Time })
  .meta({ id: 'Job', description: 'There is nothing to ask it at: watch the server or the snapshot.' })
type Job = z.infer<typeof Job>

const presentJob = ({ uuid, state, createdAt }: Operation, name: string, prefix = ''): Job => ({
  id: `${prefix}${uuid}`,
  name,
  status: isOpen(state) ? 'PENDING' : 'COMPLETED',
  createdAt: time(createdAt),
})
/** Jobs of servers have a prefix and a plural, those of snapshots neither. */
export const presentServerJob = (operation: Operation, action: 'powerOn' | 'powerOff' | 'reboot' | 'reinstall'): Job =>
  presentJob(operation, `virtualServers.${action}`, 'cs01.')
export const presentSnapshotJob = (operation: Operation, action: 'create' | 'delete' | 'restore'): Job =>
  presentJob(operation, `virtualServer.${action}VMSnapshot`)

/** The states of the machines behind the vendor's API; `ALLOCATED` is one that nobody has begun with, which we never show. */
const SNAPSHOT_STATES = ['READY', 'CREATING', 'ALLOCATED', 'ERROR', 'EXPUNGING', 'REVERTING'] as const
const SNAPSHOT_STATE: Record<SnapshotState, (typeof SNAPSHOT_STATES)[number]> = {
  creating: 'CREATING',
  ready: 'READY',
  reverting: 'REVERTING',
  deleting: 'EXPUNGING',
  failed: 'ERROR',
}
export const Snapshot = z
  .object({ id: z.uuid(), name: z.string(), state: z.enum(SNAPSHOT_STATES), created_at: Time })
  .meta({ id: 'Snapshot' })
export const presentSnapshot = ({ uuid, name, state, createdAt }: snapshots.Snapshot): z.infer<typeof Snapshot> => ({
  id: uuid,
  name,
  state: SNAPSHOT_STATE[state],
  created_at: time(createdAt),
})
