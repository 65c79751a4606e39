/** Which host gets an instance. Pure: the rows are read under a lock by the caller. */
import type { HostRow } from '../../store/hosts.ts'

export interface Demand {
  vcpus: number
  memoryMib: number
}

export type Placement = { host: HostRow } | { reason: string }

/** The host with the most free memory that has room, or the reason why none has, for people. */
export function choosePlace(hosts: readonly HostRow[], demand: Demand): Placement {
  const online = hosts.filter((host) => host.isOnline)
  if (online.length === 0) return { reason: 'waiting for a host: none of this region is online' }
  const reasons = new Map(online.map((host) => [host, lacks(host, demand)]))
  const fitting = online.filter((host) => reasons.get(host) === null)
  fitting.sort((a, b) => freeMemory(b) - freeMemory(a) || a.instances - b.instances)
  const [best] = fitting
  if (best) return { host: best }
  return { reason: `waiting for room: ${online.map((host) => `${host.name} ${reasons.get(host)}`).join('; ')}` }
}

/** Whether some host could hold it if it were empty; otherwise waiting is pointless. */
export const canEverFit = (hosts: readonly HostRow[], demand: Demand): boolean =>
  hosts.some(
    (host) =>
      (host.memoryMib === null || host.memoryMib >= demand.memoryMib) &&
      (host.vcpus === null || host.vcpus >= demand.vcpus),
  )

function lacks(host: HostRow, demand: Demand): string | null {
  if (host.memoryMib !== null && host.usedMemoryMib + demand.memoryMib > host.memoryMib) {
    return `has ${host.memoryMib - host.usedMemoryMib} of ${host.memoryMib} MiB memory left, ${demand.memoryMib} are needed`
  }
  if (host.vcpus !== null && host.usedVcpus + demand.vcpus > host.vcpus) {
    return `has ${host.vcpus - host.usedVcpus} of ${host.vcpus} vCPUs left, ${demand.vcpus} are needed`
  }
  if (host.diskBytes !== null && host.diskFreeBytes !== null) {
    const full = 1 - host.diskFreeBytes / host.diskBytes
    if (full > host.diskHighWater) {
      return `has a disk that is ${Math.round(full * 100)} % full, above the mark of ${Math.round(host.diskHighWater * 100)} %`
    }
  }
  return null
}

const freeMemory = (host: HostRow): number =>
  host.memoryMib === null ? Number.POSITIVE_INFINITY : host.memoryMib - host.usedMemoryMib
