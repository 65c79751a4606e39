import type { BarePeer, Row } from './peer.ts'

const NATIVE = `
  SELECT i.id, i.uuid, i.number, i.account_id, i.name, i.hostname, i.state, i.state_reason, i.suspended_reason,
         i.region_id, i.vcpus, i.memory_mib, i.disk_gib, i.mac, i.host_id, i.ssh_port, i.backups_enabled, i.reference, i.can_snapshot,
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

export const native: BarePeer = {
  one: {
    path: '/havn/v1/instances/:id',
    sql: `${NATIVE} AND i.uuid = $1 AND i.account_id = $2`,
    answer: (row) => nativeInstance(row),
  },
  list: {
    path: '/havn/v1/instances',
    sql: `${NATIVE} AND i.account_id = $1 ORDER BY i.number LIMIT $2 OFFSET $3`,
    page: ({ limit }) => [Number(limit), 0],
    answer: (rows, total) => ({ items: rows.map(nativeInstance), total }),
  },
}

const nativeInstance = (row: Row) => ({
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
  reference: row.reference,
  canSnapshot: row.can_snapshot,
  createdAt: row.created_at,
  provisionedAt: row.provisioned_at,
  startedAt: row.started_at,
  updatedAt: row.updated_at,
})
