/**
 * The peer of bench/api.ts: what somebody writes in an hour who only wants these answers. Fastify, one plain SELECT
 * with its joins per request (prepared, on a pool as large as ours), rows mapped to the same JSON. It asks nobody who
 * they are, limits nothing, logs nothing, counts nothing (the total is a constant), and knows no state but `running`.
 */
import Fastify from 'fastify'
import pg from 'pg'

export interface BareOptions {
  databaseUrl: string
  /** Whose instances are shown. */
  account: string
  total: number
  /** Whose the WAYSCloud list shows. */
  listedAccount: string
}

const POOL = 20 // as the API's own; so is the next line
const PLANNER = '-c jit=off -c random_page_cost=1.1'

const NATIVE = `
  SELECT i.id, i.uuid, i.number, i.account_id, i.name, i.hostname, i.state, i.state_reason, i.suspended_reason,
         i.region_id, i.vcpus, i.memory_mib, i.disk_gib, i.mac, i.host_id, i.ssh_port, i.backups_enabled,
         i.created_at, i.provisioned_at, i.started_at, i.updated_at,
         p.id AS plan_id, p.number AS plan_number, p.name AS plan_name, p.vcpus AS plan_vcpus,
         p.memory_mib AS plan_memory_mib, p.disk_gib AS plan_disk_gib, p.traffic_tb, p.price_monthly_minor, p.currency,
         m.id AS image_id, m.number AS image_number, m.name AS image_name, m.family, m.version,
         v4.address AS ipv4, v6.address AS ipv6
  FROM instance i
  JOIN plan p ON p.id = i.plan_id
  JOIN image m ON m.id = i.image_id
  LEFT JOIN ip_address v4 ON v4.instance_id = i.id AND v4.family = 4
  LEFT JOIN ip_address v6 ON v6.instance_id = i.id AND v6.family = 6
  WHERE i.delete_requested_at IS NULL`

const WAYSCLOUD = `
  SELECT i.uuid, i.number, i.name, i.hostname, i.state, i.region_id, i.image_id, i.vcpus, i.memory_mib, i.disk_gib,
         i.created_at, i.provisioned_at, p.id AS plan_id, p.name AS plan_name, p.price_monthly_minor, p.currency,
         v4.address AS ipv4, v6.address AS ipv6
  FROM instance i
  JOIN plan p ON p.id = i.plan_id
  LEFT JOIN ip_address v4 ON v4.instance_id = i.id AND v4.family = 4
  LEFT JOIN ip_address v6 ON v6.instance_id = i.id AND v6.family = 6
  WHERE i.delete_requested_at IS NULL`

const VPSORG = `
  SELECT i.number, i.name, i.hostname, i.state, i.vcpus, i.memory_mib, i.disk_gib, i.created_at, i.updated_at,
         p.number AS plan_number, p.names->>'vpsorg' AS plan_name, m.number AS image_number, m.name AS image_name,
         r.names->>'vpsorg' AS location, v4.address AS ipv4
  FROM instance i
  JOIN plan p ON p.id = i.plan_id
  JOIN image m ON m.id = i.image_id
  JOIN region r ON r.id = i.region_id
  LEFT JOIN ip_address v4 ON v4.instance_id = i.id AND v4.family = 4
  WHERE i.delete_requested_at IS NULL`
const VPSORG_DETAIL = VPSORG.replace(
  'v4.address AS ipv4',
  `v4.address AS ipv4, v6.address AS ipv6, i.backups_enabled, p.traffic_tb,
         s.cpu_percent, s.memory_used_bytes, s.disk_used_bytes`,
).replace(
  'WHERE',
  `LEFT JOIN ip_address v6 ON v6.instance_id = i.id AND v6.family = 6
  LEFT JOIN instance_stats s ON s.instance_id = i.id
  WHERE`,
)

/** Returns its address. */
export async function serveBare({ databaseUrl, account, total, listedAccount }: BareOptions) {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL, options: PLANNER })
  const rowsOf = async (name: string, text: string, values: unknown[]) =>
    (await pool.query({ name, text, values })).rows
  const app = Fastify()

  app.get<{ Params: { uuid: string } }>('/havn/v1/instances/:uuid', async ({ params }) => {
    const text = `${NATIVE} AND i.uuid = $1 AND i.account_id = $2`
    const [row] = await rowsOf('native one', text, [params.uuid, account])
    return nativeInstance(row)
  })
  app.get<{ Querystring: { limit: string } }>('/havn/v1/instances', async ({ query }) => {
    const text = `${NATIVE} AND i.account_id = $1 ORDER BY i.number LIMIT $2`
    const rows = await rowsOf('native list', text, [account, Number(query.limit)])
    return { items: rows.map(nativeInstance), total }
  })
  app.get<{ Params: { uuid: string } }>('/v1/vps/:uuid', async ({ params }) => {
    const text = `${WAYSCLOUD} AND i.uuid = $1 AND i.account_id = $2`
    const [row] = await rowsOf('wayscloud one', text, [params.uuid, account])
    return vps(row)
  })
  app.get('/v1/vps', async () => {
    const rows = await rowsOf('wayscloud list', `${WAYSCLOUD} AND i.account_id = $1 ORDER BY i.number`, [listedAccount])
    const instances = rows.map(vps)
    return { instances, vps_instances: instances, total: instances.length }
  })
  app.get<{ Params: { number: string } }>('/api/v1/servers/:number/', async ({ params }) => {
    const text = `${VPSORG_DETAIL} AND i.number = $1 AND i.account_id = $2`
    const [row] = await rowsOf('vpsorg one', text, [params.number, account])
    return serverDetail(row)
  })
  app.get<{ Querystring: { page: string; page_size: string } }>('/api/v1/servers/', async ({ query }) => {
    const size = Number(query.page_size)
    const text = `${VPSORG} AND i.account_id = $1 ORDER BY i.number LIMIT $2 OFFSET $3`
    const rows = await rowsOf('vpsorg list', text, [account, size, (Number(query.page) - 1) * size])
    return { count: total, results: rows.map(server) }
  })
  return app.listen({ host: '127.0.0.1', port: 0 })
}

// biome-ignore lint/suspicious/noExplicitAny: rows as pg hands them on
const nativeInstance = (row: any) => ({
  id: row.id,
  uuid: row.uuid,
  number: Number(row.number),
  accountId: row.account_id,
  name: row.name,
  hostname: row.hostname,
  state: row.state,
  stateReason: row.state_reason,
  suspendedReason: row.suspended_reason,
  regionId: row.region_id,
  plan: {
    id: row.plan_id,
    number: Number(row.plan_number),
    name: row.plan_name,
    vcpus: row.plan_vcpus,
    memoryMib: row.plan_memory_mib,
    diskGib: row.plan_disk_gib,
    trafficTb: row.traffic_tb,
    priceMonthlyMinor: Number(row.price_monthly_minor),
    currency: row.currency,
  },
  image: {
    id: row.image_id,
    number: Number(row.image_number),
    name: row.image_name,
    family: row.family,
    version: row.version,
  },
  vcpus: row.vcpus,
  memoryMib: row.memory_mib,
  diskGib: row.disk_gib,
  ipv4: row.ipv4,
  ipv6: row.ipv6,
  mac: row.mac,
  hostId: row.host_id,
  sshPort: row.ssh_port,
  automaticBackups: row.backups_enabled,
  createdAt: row.created_at,
  provisionedAt: row.provisioned_at,
  startedAt: row.started_at,
  updatedAt: row.updated_at,
})

// biome-ignore lint/suspicious/noExplicitAny: rows as pg hands them on
const vps = (row: any) => ({
  id: row.uuid,
  hostname: row.hostname,
  display_name: row.name,
  status: row.state,
  plan_code: row.plan_id,
  region: row.region_id,
  os_template: row.image_id,
  ipv4_address: row.ipv4,
  ipv6_address: row.ipv6,
  vcpus: row.vcpus,
  memory_gb: row.memory_mib / 1024,
  disk_gb: row.disk_gib,
  created_at: seconds(row.created_at),
  provider_vm_id: String(row.number),
  plan_name: row.plan_name,
  power_state: row.state === 'running' ? 'on' : 'off',
  vcpu: row.vcpus,
  ram_mb: row.memory_mib,
  disk_format: 'qcow2',
  snapshot_supported: false,
  monthly_price: Number(row.price_monthly_minor) / 100,
  currency: row.currency,
  provisioned_at: row.provisioned_at && seconds(row.provisioned_at),
})

// biome-ignore lint/suspicious/noExplicitAny: rows as pg hands them on
const server = (row: any) => ({
  id: Number(row.number),
  name: row.name,
  hostname: row.hostname,
  status: row.state === 'running' ? 'active' : row.state,
  ip_address: row.ipv4,
  location: row.location,
  plan: {
    id: Number(row.plan_number),
    name: row.plan_name,
    vcpus: row.vcpus,
    memory: row.memory_mib,
    storage: row.disk_gib,
  },
  os: { id: Number(row.image_number), name: row.image_name },
  created_at: seconds(row.created_at),
  updated_at: seconds(row.updated_at),
})

// biome-ignore lint/suspicious/noExplicitAny: rows as pg hands them on
function serverDetail(row: any) {
  const { id, name, hostname, status, ip_address, location, plan, os, ...times } = server(row)
  return {
    ...{ id, name, hostname, status, ip_address, ipv6_address: row.ipv6, location },
    plan: { ...plan, bandwidth: row.traffic_tb * 1024 },
    os,
    backups_enabled: row.backups_enabled,
    resource_usage: {
      cpu_percent: row.cpu_percent,
      memory_used: row.memory_used_bytes && Math.round(row.memory_used_bytes / 2 ** 20),
      disk_used: row.disk_used_bytes && Math.round(row.disk_used_bytes / 2 ** 30),
      bandwidth_used: null,
    },
    ...times,
  }
}

const seconds = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, 'Z')
