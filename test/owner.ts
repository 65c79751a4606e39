/** Services called as the first account of a cloud, its owner, without the way over HTTP. */
import type { AppContext } from '../src/main/context.ts'
import { SCOPES } from '../src/model/scopes.ts'
import type { Ctx } from '../src/services/ctx.ts'
import * as accounts from '../src/store/accounts.ts'

export async function ownerOf({
  db,
  settings,
  compute,
}: Pick<AppContext, 'db' | 'settings' | 'compute'>): Promise<Ctx> {
  const [owner] = (await accounts.list(db, { limit: 1, offset: 0 })).items
  return {
    db,
    caller: { accountId: owner!.id, apiKeyId: null, scopes: new Set(SCOPES) },
    reach: 'account',
    requestId: 'test',
    settings,
    compute,
  }
}
