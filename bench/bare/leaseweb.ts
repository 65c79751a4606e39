import type { BarePeer, Row } from './peer.ts'

const LEASEWEB = `
  SELECT i.number, i.reference, i.state, i.vcpus, i.memory_mib, i.disk_gib, i.created_at,
         i.created_at + interval '1 month' AS term_ends_at, a.number AS account_number,
         p.names->>'leaseweb' AS offering, p.price_monthly_minor, p.currency, m.name AS image_name,
         r.names->>'leaseweb' AS data_center, v4.address AS ipv4, v6.address AS ipv6
  FROM instance i
  JOIN account a ON a.id = i.account_id
  JOIN plan p ON p.id = i.plan_id
  JOIN image m ON m.id = i.image_id
  JOIN region r ON r.id = i.region_id
  LEFT JOIN ip_address v4 ON v4.instance_id = i.id AND v4.family = 4
  LEFT JOIN ip_address v6 ON v6.instance_id = i.id AND v6.family = 6
  WHERE i.delete_requested_at IS NULL`

export const leaseweb: BarePeer = {
  one: {
    path: '/cloud/v2/virtualServers/:id',
    sql: `${LEASEWEB} AND i.number = $1 AND i.account_id = $2`,
    answer: (row) => virtualServer(row),
  },
  list: {
    path: '/cloud/v2/virtualServers',
    sql: `${LEASEWEB} AND i.account_id = $1 ORDER BY i.number LIMIT $2 OFFSET $3`,
    page: ({ limit }) => [Number(limit), 0],
    answer: (rows, totalCount, [limit, offset]) => ({
      virtualServers: rows.map(virtualServer),
      _metadata: { totalCount, offset, limit },
    }),
  },
}

const virtualServer = (row: Row) => ({
  id: row.number,
  reference: row.reference,
  customerId: row.account_number,
  dataCenter: row.data_center,
  cloudServerId: null,
  state: row.state.toUpperCase(),
  firewallState: 'DISABLED',
  template: `${row.image_name} (64-bit)`,
  serviceOffering: row.offering,
  sla: 'Bronze',
  contract: {
    id: row.number,
    startsAt: zoned(row.created_at),
    endsAt: zoned(row.term_ends_at),
    billingCycle: 1,
    billingFrequency: 'MONTH',
    pricePerFrequency: Number(row.price_monthly_minor) / 100,
    currency: row.currency,
  },
  hardware: {
    cpu: { cores: row.vcpus },
    memory: { unit: 'MB', amount: row.memory_mib },
    storage: { unit: 'GB', amount: row.disk_gib },
  },
  iso: null,
  ips: [
    { ip: row.ipv4, version: 4, type: 'PUBLIC' },
    { ip: row.ipv6, version: 6, type: 'PUBLIC' },
  ],
})

const zoned = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, '+0000')
