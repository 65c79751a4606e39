/** How the cloud is: for people, for load balancers and for Prometheus. */
import type { InstanceState } from '../model/instance.ts'
import type { Db } from '../store/db.ts'
import * as hosts from '../store/hosts.ts'
import * as incidents from '../store/incidents.ts'
import * as operations from '../store/operations.ts'
import * as counts from '../store/status.ts'
import { allow, type Ctx, visibleAccount } from './ctx.ts'

const OPERATIONS_SHOWN_MAX = 20

export interface Status {
  version: string
  compute: string
  apiUrl: string
  s3Url: string
  dnsAddress: string
  isReady: boolean
  problems: string[]
  instances: Partial<Record<InstanceState, number>>
  /** The newest first. */
  openOperations: operations.Operation[]
  /** Null for those who are no operators, like `hosts`. */
  openIncidents: number | null
  hosts: hosts.HostRow[] | null
}

export async function get(ctx: Ctx): Promise<Status> {
  allow(ctx, 'instances:read')
  const accountId = visibleAccount(ctx)
  const isOperator = ctx.caller.scopes.has('operator')
  const { version, compute, apiUrl, s3Url, dnsAddress } = ctx.settings
  const problems = await findProblems(ctx.db)
  const open = await operations.list(ctx.db, { accountId, openOnly: true, limit: OPERATIONS_SHOWN_MAX, offset: 0 })
  return {
    version,
    compute,
    apiUrl,
    s3Url,
    dnsAddress,
    isReady: problems.length === 0,
    problems,
    instances: await counts.instancesByState(ctx.db, accountId),
    openOperations: open.items,
    openIncidents: isOperator ? await incidents.countOpen(ctx.db) : null,
    hosts: isOperator ? await hosts.list(ctx.db) : null,
  }
}

/** Why the cloud cannot work: nobody runs its strands. Throws when the database does not answer. */
export async function findProblems(db: Db): Promise<string[]> {
  const all = await hosts.list(db)
  return all.some(({ isOnline }) => isOnline) ? [] : ['no worker was seen in the last 30 seconds']
}

export interface Gauge {
  name: string
  help: string
  values: { labels?: Record<string, string>; value: number }[]
}

/** Without a caller: whoever may read the metrics was decided before. */
export async function gauges(db: Db): Promise<Gauge[]> {
  const [byState, strands, openIncidents, hostRows] = [
    await counts.instancesByState(db, null),
    await counts.strands(db),
    await incidents.countOpen(db),
    await hosts.list(db),
  ]
  const hostGauge = (name: string, help: string, of: (host: hosts.HostRow) => number | null): Gauge => ({
    name,
    help,
    values: hostRows.flatMap((host) => {
      const value = of(host)
      return value === null ? [] : [{ labels: { host: host.name }, value }]
    }),
  })
  return [
    {
      name: 'havn_instances',
      help: 'Instances by state.',
      values: Object.entries(byState).map(([state, value]) => ({ labels: { state }, value })),
    },
    {
      name: 'havn_strands',
      help: 'Strands, one for each thing that is looked after.',
      values: [{ value: strands.total }],
    },
    { name: 'havn_strands_due', help: 'Strands that wait for a worker.', values: [{ value: strands.due }] },
    { name: 'havn_strands_leased', help: 'Strands that a worker has.', values: [{ value: strands.leased }] },
    { name: 'havn_incidents_open', help: 'Incidents that nobody has resolved.', values: [{ value: openIncidents }] },
    hostGauge('havn_host_online', 'Whether its worker was seen lately.', ({ isOnline }) => (isOnline ? 1 : 0)),
    hostGauge('havn_host_vcpus', 'vCPUs that may be sold.', ({ vcpus }) => vcpus),
    hostGauge('havn_host_vcpus_used', 'vCPUs of its instances.', ({ usedVcpus }) => usedVcpus),
    hostGauge('havn_host_memory_mib', 'Memory that may be sold.', ({ memoryMib }) => memoryMib),
    hostGauge('havn_host_memory_mib_used', 'Memory of its instances.', ({ usedMemoryMib }) => usedMemoryMib),
    hostGauge('havn_host_disk_free_bytes', 'Free space under its disks.', ({ diskFreeBytes }) => diskFreeBytes),
  ]
}
