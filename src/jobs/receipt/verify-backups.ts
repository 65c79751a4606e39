/**
 * Proves backups before somebody needs them: of those without a fresh receipt the newest is restored and booted, one at
 * a time on each host, and only where a boot slot and the memory are free just then. Customers come first: a host that
 * is full proves nothing until it is not.
 */

import { CloudError } from '../../model/errors.ts'
import * as hosts from '../../store/hosts.ts'
import * as receipts from '../../store/receipts.ts'
import * as restores from '../../store/restores.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import { choosePlace } from '../instance/placement.ts'
import type { ReconcilerTools } from '../tools.ts'
import { BOOT_SLOT_SECONDS } from './machine.ts'
import { beginReceipt, RECEIPT_INCIDENT } from './receipt.ts'

export interface VerifySettings {
  isScheduled: boolean
  receiptDays: number
}

/** What failed is tried again the next day: the cause may have been the host's. */
const RETRY_HOURS = 24
/** Of a host in one round; only the first is begun, unless it is deleted or asked for just then. */
const CANDIDATES = 5

export const verifyBackups = (settings: VerifySettings): Reconciler<ReconcilerTools> => ({
  name: 'backups.verify',
  everyMs: 30_000,
  async run({ db, hosts: own }) {
    await receipts.resolveIncidentsOfDeleted(db, RECEIPT_INCIDENT)
    if (!settings.isScheduled || (await receipts.countWaiting(db)) > 0) return
    const free = await freeHosts(db, own)
    if (free.length === 0) return
    const freshness = { freshDays: settings.receiptDays, retryHours: RETRY_HOURS }
    for (const host of free) {
      for (const backupId of await receipts.unproven(db, freshness, roomOf(host), CANDIDATES)) {
        const backup = await restores.getBackup(db, backupId)
        if ('reason' in choosePlace([host], backup.origin)) continue
        // One a round: the next round sees what this one took.
        return db
          .transaction()
          .execute(async (tx) => void (await beginReceipt(tx, backup, { isScheduled: true, requestId: null })))
          .catch(unlessConflict)
      }
    }
  },
})

const roomOf = (host: hosts.HostRow): receipts.Room => ({
  regionId: host.regionId,
  memoryMib: host.memoryMib === null ? null : host.memoryMib - host.usedMemoryMib,
  vcpus: host.vcpus === null ? null : host.vcpus - host.usedVcpus,
})

async function freeHosts(db: ReconcilerTools['db'], own: ReconcilerTools['hosts']): Promise<hosts.HostRow[]> {
  const busy = await receipts.busyHosts(db)
  const free: hosts.HostRow[] = []
  for (const host of await hosts.list(db)) {
    if (!own.includes(host.id) || busy.has(host.id)) continue
    const booting = host.bootSlots === null ? 0 : await hosts.countBooting(db, host.id, BOOT_SLOT_SECONDS)
    if (host.bootSlots === null || booting < host.bootSlots) free.push(host)
  }
  return free
}

/** Its owner asks for a receipt just now, or deletes it. */
function unlessConflict(error: unknown): void {
  if (!(error instanceof CloudError && error.code === 'conflict')) throw error
}
