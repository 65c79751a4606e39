/** Which backup a caller means, and whether there is something to restore in it. */
import { CloudError, notFound } from '../../model/errors.ts'
import type { Restorable } from '../../store/restores.ts'
import * as restores from '../../store/restores.ts'
import { type Ctx, visibleAccount } from '../ctx.ts'

export type { Restorable }

/** A text may be the text id, the UUID, the number or the short id; a number is the number. */
export type BackupRef = string | number

/** Throws `not_found` also when it is another account's. */
export async function findBackup(ctx: Ctx, ref: BackupRef): Promise<Restorable> {
  const backup = await restores.findBackup(ctx.db, String(ref), { accountId: visibleAccount(ctx) })
  if (!backup) throw notFound('backup', String(ref))
  return backup
}

export async function findCompleted(ctx: Ctx, ref: BackupRef): Promise<Restorable> {
  const backup = await findBackup(ctx, ref)
  assertCompleted(backup)
  return backup
}

export function assertCompleted({ state, shortId }: Restorable): void {
  if (state === 'completed') return
  const why = state === 'creating' ? 'is not completed yet' : 'has failed: there is nothing to restore'
  throw new CloudError('conflict', `backup ${shortId} ${why}`)
}
