import { type BarePeer, type Row, seconds } from './peer.ts'

const WAYSCLOUD = `
  SELECT i.uuid, i.number, i.name, i.hostname, i.state, i.region_id, i.image_id, i.vcpus, i.memory_mib, i.disk_gib,
         i.created_at, i.provisioned_at, p.id AS plan_id, p.name AS plan_name, p.price_monthly_minor, p.currency,
         v4.address AS ipv4, v6.address AS ipv6
  FROM instance i
  JOIN plan p ON p.id = i.plan_id
  LEFT JOIN ip_address v4 ON v4.instance_id = i.id AND v4.family = 4
  LEFT JOIN ip_address v6 ON v6.instance_id = i.id AND v6.family = 6
  WHERE i.delete_requested_at IS NULL`

export const wayscloud: BarePeer = {
  one: {
    path: '/v1/vps/:id',
    sql: `${WAYSCLOUD} AND i.uuid = $1 AND i.account_id = $2`,
    answer: (row) => vps(row),
  },
  list: {
    path: '/v1/vps',
    sql: `${WAYSCLOUD} AND i.account_id = $1 ORDER BY i.number`,
    page: null,
    answer(rows) {
      const instances = rows.map(vps)
      return { instances, vps_instances: instances, total: instances.length }
    },
  },
}

const vps = (row: Row) => ({
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
  snapshot_supported: true,
  monthly_price: Number(row.price_monthly_minor) / 100,
  currency: row.currency,
  provisioned_at: row.provisioned_at && seconds(row.provisioned_at),
})
