/** The machine of a receipt, as its steps know it. */
import type { InstanceSpec } from '../../drivers/compute/compute.ts'
import { type ReceiptId, uuidOfId } from '../../model/ids.ts'
import type { Db } from '../../store/db.ts'
import * as receipts from '../../store/receipts.ts'
import * as restores from '../../store/restores.ts'

export type ReceiptStep = 'place' | 'restore' | 'boot' | 'watch' | 'halt' | 'check' | 'record' | 'clean'

export const VERIFY = 'receipt'
/** A machine that says nothing while it boots holds its slot no longer than this. */
export const BOOT_SLOT_SECONDS = 60

export const taskOf = (id: string): string => `restore-${id}`

/** As large as the instance was, with nobody's keys, no address, and nothing plugged into its network card. */
export async function machineOf(db: Db, id: ReceiptId) {
  const { number, backupId, machineId, hostId } = await receipts.placeOf(db, id)
  const { origin, diskBytes } = await restores.getBackup(db, backupId)
  const uuid = uuidOfId('instance', machineId)!
  const spec: InstanceSpec = {
    id: machineId,
    uuid,
    number,
    generation: 1,
    hostname: origin.hostname,
    vcpus: origin.vcpus,
    memoryMib: origin.memoryMib,
    diskGib: diskBytes === null ? origin.diskGib : Math.ceil(diskBytes / 2 ** 30),
    imageDigest: null,
    mac: `52:54:00:${uuid.slice(-6).replace(/(..)(..)(..)/, '$1:$2:$3')}`,
    ipv4: null,
    ipv6: null,
    sshKeys: [],
    passwordHash: null,
    sshPort: null,
    isIsolated: true,
  }
  return { backupId, hostId, spec }
}
