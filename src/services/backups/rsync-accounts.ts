/**
 * An instance's room for files, which it fills with rsync: an account of its own on the rsync server beside the API,
 * with a password that is shown again. Switched off it keeps its files and its password; they go with the instance.
 */
import { randomSecret, seal, unseal } from '../../lib/secrets.ts'
import { CloudError, notFound } from '../../model/errors.ts'
import type { InstanceId } from '../../model/ids.ts'
import { atomically, type Db } from '../../store/db.ts'
import * as instanceRows from '../../store/instances.ts'
import * as accounts from '../../store/rsync-accounts.ts'
import { allow, type Ctx } from '../ctx.ts'
import * as instances from '../instances.ts'

export interface RsyncAccount {
  /** The name of its module as well. */
  username: number
  password: string
  quotaBytes: number
  /** On the disk; null until measured. */
  usedBytes: number | null
  measuredAt: Date | null
  host: string
  port: number
}

const PASSWORD_BYTES = 15 // of entropy: rsync's challenges can be guessed at offline by whoever hears them

/** Throws `not_found` while it is off. It tells a secret, so whoever only reads may not. */
export async function get(ctx: Ctx, ref: instances.Ref): Promise<RsyncAccount> {
  allow(ctx, 'instances:write')
  const { id } = await instances.get(ctx, ref)
  const account = await accounts.find(ctx.db, id)
  if (!account?.enabled || ctx.settings.rsync === null) throw notFound('rsync account', String(ref))
  return asSeen(ctx, ctx.settings.rsync, account)
}

/** The server lets it in within seconds. Throws `conflict` where there is no rsync server. */
export async function enable(ctx: Ctx, ref: instances.Ref): Promise<RsyncAccount> {
  return onInstance(ctx, ref, async (tx, id) => {
    const at = ctx.settings.rsync
    if (at === null) {
      throw new CloudError(
        'conflict',
        'file backups by rsync are not switched on here: the operator starts Havn with HAVN_RSYNC_LISTEN=HOST:PORT',
      )
    }
    const known = await accounts.find(tx, id)
    if (known) await accounts.setEnabled(tx, id, true)
    const account = known ?? (await accounts.insert(tx, id, seal(ctx.settings.masterKey, randomSecret(PASSWORD_BYTES))))
    return asSeen(ctx, at, account)
  })
}

/** Within seconds nobody gets in and who is in is cut off. The files stay. Off already is no error. */
export const disable = (ctx: Ctx, ref: instances.Ref): Promise<void> =>
  onInstance(ctx, ref, (tx, id) => accounts.setEnabled(tx, id, false))

/** Which of the instances have one; the caller has already been shown them. */
export const enabledAmong = async (ctx: Ctx, ids: readonly InstanceId[]): Promise<Set<InstanceId>> =>
  ctx.settings.rsync === null ? new Set() : accounts.enabledAmong(ctx.db, ids)

async function onInstance<T>(ctx: Ctx, ref: instances.Ref, work: (tx: Db, id: InstanceId) => Promise<T>): Promise<T> {
  allow(ctx, 'instances:write')
  const { id } = await instances.get(ctx, ref)
  return atomically(ctx.db, async (tx) => {
    const row = await instanceRows.lock(tx, id)
    if (row.delete_requested_at) throw notFound('instance', String(ref))
    return work(tx, id)
  })
}

const asSeen = (ctx: Ctx, { host, port }: { host: string; port: number }, account: accounts.RsyncAccount) => ({
  username: account.username,
  password: unseal(ctx.settings.masterKey, account.passwordSealed),
  quotaBytes: account.quotaBytes,
  usedBytes: account.usedBytes,
  measuredAt: account.measuredAt,
  host,
  port,
})
