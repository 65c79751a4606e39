/** SSH keys that an account keeps under a name, for instances to come; what an instance got stays in it. */
import { createHash } from 'node:crypto'
import { CloudError, invalidField, notFound } from '../model/errors.ts'
import { normalizeSshKey } from '../model/ssh-key.ts'
import * as accounts from '../store/accounts.ts'
import { atomically } from '../store/db.ts'
import type { SshKey } from '../store/ssh-keys.ts'
import * as sshKeys from '../store/ssh-keys.ts'
import { allow, type Ctx } from './ctx.ts'

export type { SshKey }

/** They are listed in one piece. */
const KEYS_MAX = 500

export async function list(ctx: Ctx): Promise<SshKey[]> {
  allow(ctx, 'instances:read')
  return sshKeys.list(ctx.db, ctx.caller.accountId)
}

export interface AddInput {
  name: string
  /** One line, as in authorized_keys. */
  publicKey: string
}

export async function add(ctx: Ctx, { name, publicKey }: AddInput): Promise<SshKey> {
  allow(ctx, 'instances:write')
  const { accountId } = ctx.caller
  const line = normalizeSshKey(publicKey)
  if (!line) {
    const example = 'one line as in authorized_keys, for example "ssh-ed25519 AAAA… me@laptop"'
    throw invalidField('publicKey', `not an OpenSSH public key: ${example}`, publicKey)
  }
  return atomically(ctx.db, async (tx) => {
    await accounts.lock(tx, accountId)
    if ((await sshKeys.count(tx, accountId)) >= KEYS_MAX) {
      throw new CloudError('quota_exceeded', `an account keeps at most ${KEYS_MAX} SSH keys`)
    }
    return sshKeys.insert(tx, { accountId, name: name.trim(), publicKey: line, fingerprint: fingerprintOf(line) })
  })
}

/** Of a clean line: `SHA256:…`, as `ssh-keygen -l` prints it. */
function fingerprintOf(line: string): string {
  const digest = createHash('sha256')
    .update(Buffer.from(line.split(' ')[1]!, 'base64'))
    .digest('base64')
  return `SHA256:${digest.replaceAll('=', '')}`
}

export async function remove(ctx: Ctx, ref: string): Promise<SshKey> {
  allow(ctx, 'instances:write')
  const key = await sshKeys.find(ctx.db, ctx.caller.accountId, ref)
  if (!key) throw notFound('SSH key', ref)
  await sshKeys.remove(ctx.db, key.id)
  return key
}

/** The lines of the stored keys that these words name. */
export async function choose(ctx: Ctx, refs: readonly (string | number)[]): Promise<string[]> {
  const lines: string[] = []
  for (const [index, ref] of refs.entries()) {
    const key = await sshKeys.find(ctx.db, ctx.caller.accountId, ref)
    if (!key) {
      const message = `no SSH key ${JSON.stringify(ref)}`
      throw new CloudError('invalid', message, {
        issues: [{ where: 'body', path: ['sshKeyIds', index], code: 'unknown_choice', message, input: ref }],
      })
    }
    lines.push(key.publicKey)
  }
  return lines
}
