/** Access keys of the S3 protocol; their secret is sealed, because a signature can only be checked with it. */
import type { AccountId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface NewAccessKey {
  accessKeyId: string
  accountId: AccountId
  name: string
  secretSealed: Buffer
}

export async function insert(tx: Db, key: NewAccessKey): Promise<void> {
  await tx
    .insertInto('access_key')
    .values({
      access_key_id: key.accessKeyId,
      account_id: key.accountId,
      name: key.name,
      secret_sealed: key.secretSealed,
    })
    .execute()
}
