/**
 * The keys of an account's backups. One random key of 32 bytes is stored, sealed with the installation's master key;
 * what chunks are named with and what they and manifests are encrypted with follows from it (HKDF, RFC 5869), so that
 * none of the three says anything of the others.
 */
import { hkdfSync, randomBytes } from 'node:crypto'
import { seal, unseal } from '../../lib/secrets.ts'
import { CloudError } from '../../model/errors.ts'

export interface BackupKeys {
  digest: Buffer
  chunk: Buffer
  manifest: Buffer
}

const KEY_BYTES = 32

/** A new account's key, to be stored. */
export const newSealedKey = (masterKey: Buffer): Buffer => seal(masterKey, randomBytes(KEY_BYTES).toString('base64'))

/** Throws `conflict`, which no retry mends, when it was sealed with another master key or was changed. */
export function openSealedKey(masterKey: Buffer, sealed: Buffer): BackupKeys {
  try {
    return deriveKeys(Buffer.from(unseal(masterKey, sealed), 'base64'))
  } catch (cause) {
    const message = "the account's backup key does not open: keys/master.key is not the one it was sealed with"
    throw new CloudError('conflict', message, { cause })
  }
}

export function deriveKeys(key: Buffer): BackupKeys {
  const derive = (use: string) =>
    Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), `havn backup ${use} v1`, KEY_BYTES))
  return { digest: derive('digest'), chunk: derive('chunk'), manifest: derive('manifest') }
}
