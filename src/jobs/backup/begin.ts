/** How every backup begins, by hand or by its policy: row, operation and strand in one transaction. */
import { type BackupKind, DEFAULT_SCHEDULE } from '../../model/backup.ts'
import type { BackupId } from '../../model/ids.ts'
import * as policies from '../../store/backup-policies.ts'
import * as backups from '../../store/backups.ts'
import type { Db } from '../../store/db.ts'
import type * as instances from '../../store/instances.ts'
import * as operations from '../../store/operations.ts'
import { startStrand } from '../engine/start.ts'
import { backupStrand } from './backup.ts'

export interface BackupWish {
  kind: BackupKind
  label: string | null
  /** Default: as the instance's policy says, enabled or not. */
  retentionDays?: number | undefined
  policyDueAt: Date | null
  requestId: string | null
}

/** `instance` is its row, locked; no backup of it may be `creating`. */
export async function beginBackup(
  tx: Db,
  instance: Awaited<ReturnType<typeof instances.lock>>,
  wish: BackupWish,
): Promise<{ id: BackupId; operation: operations.Operation }> {
  const policy = await policies.find(tx, instance.id)
  const id = await backups.insert(tx, {
    instance,
    origin: {
      name: instance.name,
      hostname: instance.hostname,
      regionId: instance.region_id,
      planId: instance.plan_id,
      imageId: instance.image_id,
      vcpus: instance.vcpus,
      memoryMib: instance.memory_mib,
      diskGib: instance.disk_gib,
    },
    kind: wish.kind,
    label: wish.label,
    retentionDays: wish.retentionDays ?? (policy?.schedule ?? DEFAULT_SCHEDULE).retentionDays,
    policyDueAt: wish.policyDueAt,
  })
  await startStrand(tx, backupStrand, id, { hostId: instance.host_id })
  const operation = await operations.open(tx, {
    accountId: instance.account_id,
    kind: 'backup.create',
    resourceId: id,
    requestId: wish.requestId,
  })
  return { id, operation }
}
