/** The proofs of backups, for those who own them. */
import { canEverFit } from '../../jobs/instance/placement.ts'
import { beginReceipt } from '../../jobs/receipt/receipt.ts'
import { CloudError, notFound } from '../../model/errors.ts'
import { atomically } from '../../store/db.ts'
import * as hosts from '../../store/hosts.ts'
import type { Operation } from '../../store/operations.ts'
import type { Receipt } from '../../store/receipts.ts'
import * as receiptRows from '../../store/receipts.ts'
import { allow, type Ctx, visibleAccount } from '../ctx.ts'
import { type BackupRef, findBackup, findCompleted } from './restorable.ts'

export type { Receipt }

/** Newest first. */
export async function list(
  ctx: Ctx,
  backupRef: BackupRef,
  page: { limit?: number | undefined; offset?: number | undefined } = {},
): Promise<{ items: Receipt[]; total: number }> {
  allow(ctx, 'instances:read')
  const backup = await findBackup(ctx, backupRef)
  return receiptRows.listOf(ctx.db, backup.id, page)
}

/** By text id, UUID or number. */
export async function get(ctx: Ctx, ref: string | number): Promise<Receipt> {
  allow(ctx, 'instances:read')
  const receipt = await receiptRows.find(ctx.db, String(ref), { accountId: visibleAccount(ctx) })
  if (!receipt) throw notFound('receipt', String(ref))
  return receipt
}

/** PNG. */
export async function screenshot(ctx: Ctx, ref: string | number): Promise<Buffer> {
  const { id } = await get(ctx, ref)
  const picture = await receiptRows.screenshot(ctx.db, id)
  if (!picture) throw new CloudError('not_found', 'this receipt has no screenshot')
  return picture
}

/**
 * Restores the backup into a machine of its own, boots it and looks at it. The operation succeeds with a passed receipt
 * only. Throws `conflict` when the backup is not completed or is being verified already.
 */
export async function verify(ctx: Ctx, backupRef: BackupRef): Promise<{ receipt: Receipt; operation: Operation }> {
  allow(ctx, 'instances:write')
  const backup = await findCompleted(ctx, backupRef)
  const { regionId } = backup.origin
  if (!canEverFit(await hosts.list(ctx.db, { regionId }), backup.origin)) {
    throw new CloudError('no_capacity', `no host in ${regionId} is large enough to boot this backup`)
  }
  return atomically(ctx.db, (tx) => beginReceipt(tx, backup, { isScheduled: false, requestId: ctx.requestId }))
}
