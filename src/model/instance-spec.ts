/** What a host must know to run an instance. Made from the row by the store, read by every compute driver. */
import type { InstanceId } from './ids.ts'

export interface InstanceSpec {
  id: InstanceId
  uuid: string
  /** Small and unique on the installation: interface names are made from it. */
  number: number
  /** Counts rebuilds; the disk and the cloud-init instance id belong to one generation. */
  generation: number
  hostname: string
  vcpus: number
  memoryMib: number
  diskGib: number
  /** sha256 of the catalogue file the root disk starts from; null where there are no image files (simulator). */
  imageDigest: string | null
  mac: string
  /** Without prefix length, `10.91.0.17`, `fd00::11`. */
  ipv4: string | null
  ipv6: string | null
  sshKeys: readonly string[]
  /** crypt(3) form, only until first boot is over. */
  passwordHash: string | null
  /** TCP port on the host's loopback that leads to the guest's port 22, where the network has no routes. */
  sshPort: number | null
  /** It has its network card, and nothing is plugged into it: for machines that only prove a backup. */
  isIsolated?: boolean
}
