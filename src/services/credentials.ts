/**
 * What an instance is logged in to with, kept for its owner: the root password that it was made with, and what the owner
 * writes down. Nothing here changes the guest. A password is told by `reveal` alone, to keys that may also change the
 * instance, and whoever asks is on record.
 */
import { seal, unseal } from '../lib/secrets.ts'
import {
  CREDENTIAL_PASSWORD_MAX,
  CREDENTIAL_USERNAME_MAX,
  CREDENTIALS_MAX,
  type CredentialType,
} from '../model/credential.ts'
import { CloudError, invalidField, notFound } from '../model/errors.ts'
import type { Credential, CredentialFilter } from '../store/credentials.ts'
import * as credentials from '../store/credentials.ts'
import { atomically } from '../store/db.ts'
import * as instanceRows from '../store/instances.ts'
import { allow, type Ctx } from './ctx.ts'
import * as instances from './instances.ts'

export type { Credential }

export async function list(ctx: Ctx, ref: instances.Ref, filter: CredentialFilter = {}) {
  const instance = await instances.get(ctx, ref)
  return credentials.list(ctx.db, instance.id, filter)
}

export interface Secret {
  type: CredentialType
  username: string
  password: string
}

export async function reveal(
  ctx: Ctx,
  ref: instances.Ref,
  { type, username }: Omit<Secret, 'password'>,
): Promise<Secret> {
  allow(ctx, 'instances:write')
  const instance = await instances.get(ctx, ref)
  const found = await credentials.find(ctx.db, instance.id, type, username)
  if (!found) throw notFound('credential', username)
  return { type, username, password: unseal(ctx.settings.masterKey, found.passwordSealed) }
}

/** The one of that type and user name is replaced. */
export async function put(ctx: Ctx, ref: instances.Ref, { type, username, password }: Secret): Promise<Credential> {
  allow(ctx, 'instances:write')
  if (username.length === 0 || username.length > CREDENTIAL_USERNAME_MAX) {
    throw invalidField('username', `must have 1 to ${CREDENTIAL_USERNAME_MAX} characters`)
  }
  if (password.length === 0 || password.length > CREDENTIAL_PASSWORD_MAX) {
    throw invalidField('password', `must have 1 to ${CREDENTIAL_PASSWORD_MAX} characters`)
  }
  const { id } = await instances.get(ctx, ref)
  return atomically(ctx.db, async (tx) => {
    const row = await instanceRows.lock(tx, id)
    if (row.delete_requested_at) throw notFound('instance', String(ref))
    if (!(await credentials.find(tx, id, type, username)) && (await credentials.count(tx, id)) >= CREDENTIALS_MAX) {
      throw new CloudError('quota_exceeded', `an instance has at most ${CREDENTIALS_MAX} credentials`)
    }
    return credentials.put(tx, id, { type, username, passwordSealed: seal(ctx.settings.masterKey, password) })
  })
}
