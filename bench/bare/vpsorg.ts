import { type BarePeer, type Row, seconds } from './peer.ts'

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

export const vpsorg: BarePeer = {
  one: {
    path: '/api/v1/servers/:id/',
    sql: `${VPSORG_DETAIL} AND i.number = $1 AND i.account_id = $2`,
    answer: (row) => serverDetail(row),
  },
  list: {
    path: '/api/v1/servers/',
    sql: `${VPSORG} AND i.account_id = $1 ORDER BY i.number LIMIT $2 OFFSET $3`,
    page: ({ page, page_size }) => [Number(page_size), (Number(page) - 1) * Number(page_size)],
    answer: (rows, total) => ({ count: total, results: rows.map(server) }),
  },
}

const server = (row: Row) => ({
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

function serverDetail(row: Row) {
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
