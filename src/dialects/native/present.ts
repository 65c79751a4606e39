/** Our nouns as the contract has them: what a service adds to a noun stays inside until it is said here. */
import type * as accounts from '../../services/accounts.ts'
import type * as apiKeys from '../../services/api-keys.ts'
import type * as audit from '../../services/audit.ts'
import type * as catalog from '../../services/catalog.ts'
import type * as credentials from '../../services/credentials.ts'
import type * as events from '../../services/events.ts'
import type * as hosts from '../../services/hosts.ts'
import type * as incidents from '../../services/incidents.ts'
import type * as instances from '../../services/instances.ts'
import type * as operations from '../../services/operations.ts'
import type * as sshKeys from '../../services/ssh-keys.ts'
import type * as contract from './contract.ts'

type Item<List extends (...args: never[]) => unknown> =
  Awaited<ReturnType<List>> extends readonly (infer T)[]
    ? T
    : Awaited<ReturnType<List>> extends { items: readonly (infer T)[] }
      ? T
      : never
type Region = Item<typeof catalog.regions>
type Plan = Item<typeof catalog.plans>
type Image = Item<typeof catalog.images>

const time = (date: Date): string => date.toISOString()
const maybe = (date: Date | null): string | null => date?.toISOString() ?? null

export const page = <T, U>({ items, total }: { items: readonly T[]; total: number }, present: (item: T) => U) => ({
  items: items.map(present),
  total,
})
export const whole = <T, U>(items: readonly T[], present: (item: T) => U) =>
  page({ items, total: items.length }, present)

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

export const presentImage = (image: Image): contract.Image => ({
  id: image.id,
  number: image.number,
  name: image.name,
  family: image.family,
  version: image.version,
  isWindows: image.isWindows,
  minMemoryMib: image.minMemoryMib,
  minDiskGib: image.minDiskGib,
  builder: image.builder,
  state: image.state,
  stateReason: image.stateReason,
  digest: image.digest,
  virtualBytes: image.virtualBytes,
  fileBytes: image.fileBytes,
  updatedAt: time(image.updatedAt),
})

export const presentOperation = (operation: operations.Operation): contract.Operation => ({
  id: operation.id,
  uuid: operation.uuid,
  number: operation.number,
  accountId: operation.accountId,
  kind: operation.kind,
  resourceId: operation.resourceId,
  state: operation.state,
  progressPercent: operation.progressPercent,
  message: operation.message,
  errorCode: operation.errorCode,
  requestId: operation.requestId,
  createdAt: time(operation.createdAt),
  startedAt: maybe(operation.startedAt),
  finishedAt: maybe(operation.finishedAt),
})

export const presentInstance = (instance: instances.Instance): contract.Instance => ({
  id: instance.id,
  uuid: instance.uuid,
  number: instance.number,
  accountId: instance.accountId,
  name: instance.name,
  hostname: instance.hostname,
  state: instance.state,
  stateReason: instance.stateReason,
  suspendedReason: instance.suspendedReason,
  regionId: instance.regionId,
  plan: presentPlan(instance.plan),
  image: {
    id: instance.image.id,
    number: instance.image.number,
    name: instance.image.name,
    family: instance.image.family,
    version: instance.image.version,
  },
  vcpus: instance.vcpus,
  memoryMib: instance.memoryMib,
  diskGib: instance.diskGib,
  ipv4: instance.ipv4,
  ipv6: instance.ipv6,
  mac: instance.mac,
  hostId: instance.hostId,
  sshPort: instance.sshPort,
  automaticBackups: instance.automaticBackups,
  reference: instance.reference,
  canSnapshot: instance.canSnapshot,
  createdAt: time(instance.createdAt),
  provisionedAt: maybe(instance.provisionedAt),
  startedAt: maybe(instance.startedAt),
  updatedAt: time(instance.updatedAt),
})

export const presentCredential = (credential: credentials.Credential): contract.Credential => ({
  type: credential.type,
  username: credential.username,
  createdAt: time(credential.createdAt),
  updatedAt: time(credential.updatedAt),
})

export const presentStats = ({ state: _, measuredAt, ...stats }: instances.Stats): contract.InstanceStats => ({
  measuredAt: maybe(measuredAt),
  ...stats,
})

export const presentHost = (host: Item<typeof hosts.list>): contract.Host => ({
  id: host.id,
  name: host.name,
  regionId: host.regionId,
  driver: host.driver,
  isOnline: host.isOnline,
  vcpus: host.vcpus,
  memoryMib: host.memoryMib,
  diskBytes: host.diskBytes,
  diskFreeBytes: host.diskFreeBytes,
  usedVcpus: host.usedVcpus,
  usedMemoryMib: host.usedMemoryMib,
  instances: host.instances,
  facts: host.facts,
  seenAt: time(host.seenAt),
})

export const presentIncident = (incident: Item<typeof incidents.list>): contract.Incident => ({
  id: incident.id,
  number: incident.number,
  strandId: incident.strand_id,
  kind: incident.kind,
  step: incident.step,
  message: incident.message,
  openedAt: time(incident.opened_at),
  resolvedAt: maybe(incident.resolved_at),
  resolution: incident.resolution,
})

export const presentAccount = (account: accounts.Account): contract.Account => ({
  id: account.id,
  uuid: account.uuid,
  number: account.number,
  email: account.email,
  name: account.name,
  isOperator: account.isOperator,
  creditMinor: account.creditMinor,
  suspendedReason: account.suspendedReason,
  createdAt: time(account.createdAt),
})

export const presentKey = (key: apiKeys.ApiKey): contract.Key => ({
  id: key.id,
  name: key.name,
  service: key.service,
  keyId: key.keyId,
  scopes: key.scopes,
  expiresAt: maybe(key.expiresAt),
  revokedAt: maybe(key.revokedAt),
  lastUsedAt: maybe(key.lastUsedAt),
  createdAt: time(key.createdAt),
})

export const presentSshKey = (key: sshKeys.SshKey): contract.SshKey => ({
  id: key.id,
  uuid: key.uuid,
  number: key.number,
  name: key.name,
  publicKey: key.publicKey,
  fingerprint: key.fingerprint,
  createdAt: time(key.createdAt),
})

export const presentAudit = (entry: Item<typeof audit.list>): contract.AuditEntry => ({ ...entry, at: time(entry.at) })

export const presentEvent = ({ cursor, at, ...event }: events.CloudEvent): contract.CloudEvent => ({
  id: cursor,
  at: time(at),
  ...event,
})
