import type { AccountId } from '../model/ids.ts'
import { newId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface AuditEntry {
  id: string
  at: Date
  accountId: string | null
  apiKeyId: string | null
  address: string | null
  requestId: string
  dialect: string
  method: string
  path: string
  resourceId: string | null
  status: number
  errorCode: string | null
}

/** Who tried what and how it ended. In the transaction of the effect, or alone when there is none. */
export async function record(tx: Db, entry: Omit<AuditEntry, 'id' | 'at'>): Promise<void> {
  await tx
    .insertInto('audit')
    .values({
      id: newId('audit'),
      account_id: entry.accountId,
      api_key_id: entry.apiKeyId,
      address: entry.address,
      request_id: entry.requestId,
      dialect: entry.dialect,
      method: entry.method,
      path: entry.path.slice(0, 2_048),
      resource_id: entry.resourceId,
      status: entry.status,
      error_code: entry.errorCode,
    })
    .execute()
}

export async function list(
  db: Db,
  { accountId, limit, offset }: { accountId: AccountId | null; limit: number; offset: number },
): Promise<{ items: AuditEntry[]; total: number }> {
  const base = db
    .selectFrom('audit')
    .$if(accountId !== null, (query) => query.where('account_id', '=', accountId as string))
  const items = await base
    .select([
      'id',
      'at',
      'account_id as accountId',
      'api_key_id as apiKeyId',
      'address',
      'request_id as requestId',
      'dialect',
      'method',
      'path',
      'resource_id as resourceId',
      'status',
      'error_code as errorCode',
    ])
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .offset(offset)
    .execute()
  const { total } = await base.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  return { items, total }
}
