/** Who asks, with which rights, on which database; the first argument of every service. */
import type { ComputeDriver } from '../drivers/compute/compute.ts'
import { CloudError } from '../model/errors.ts'
import type { AccountId, ApiKeyId } from '../model/ids.ts'
import type { Scope } from '../model/scopes.ts'
import type { Db } from '../store/db.ts'

export interface Caller {
  accountId: AccountId
  apiKeyId: ApiKeyId | null
  scopes: ReadonlySet<Scope>
}

export interface ServiceSettings {
  version: string
  compute: 'qemu' | 'simulator' | 'incus'
  recoverHours: number
  /** How long a passed receipt proves its backup. */
  receiptDays: number
  /** Havn's own public key, put into every instance so that `havn ssh` works; null on a simulator. */
  ownSshKey: string | null
  /** Seals what must be read again (S3 secrets). */
  masterKey: Buffer
  apiUrl: string
  s3Url: string
  /** What S3 clients sign with. */
  s3Region: string
  dnsAddress: string
  /** Where clients of file backups connect; null: there are none here. */
  rsync: { host: string; port: number } | null
  /** Where uploaded image files wait for their import. */
  uploadsFolder: string
}

export interface Ctx {
  /** The pool, or the transaction that the HTTP layer opened for a call that changes something. */
  db: Db
  caller: Caller
  /** `all` only for a caller with the scope `operator` on a route of the native API that says so. */
  reach: 'account' | 'all'
  requestId: string
  settings: ServiceSettings
  compute: Pick<ComputeDriver, 'name' | 'readLog'>
}

export function allow(ctx: Ctx, scope: Scope): void {
  if (!ctx.caller.scopes.has(scope)) throw new CloudError('forbidden', `this key lacks the scope ${scope}`)
}

/** The account that queries are narrowed to; null = every account, for an operator on a route that opens that view. */
export const visibleAccount = (ctx: Ctx): AccountId | null => (ctx.reach === 'all' ? null : ctx.caller.accountId)
