/** The root password that an instance is installed with: its hash goes into the guest, itself into the credentials. */
import { cryptSha512 } from '../lib/crypt.ts'
import { randomSecret, seal } from '../lib/secrets.ts'
import { invalidField } from '../model/errors.ts'
import type { Ctx } from './ctx.ts'

export interface PasswordWish {
  /** crypt(3) form. */
  passwordHash?: string
  /** Makes one, which `credentials.reveal` tells. */
  generatePassword?: boolean
}

export interface RootPassword {
  /** crypt(3) form; null: no login by password. */
  hash: string | null
  /** Null when nobody but its owner knows it. */
  text: string | null
}

const ENTROPY_BYTES = 15 // 20 characters

export function chooseRootPassword({ passwordHash, generatePassword = false }: PasswordWish): RootPassword {
  if (!generatePassword) return { hash: passwordHash ?? null, text: null }
  if (passwordHash !== undefined) {
    throw invalidField('generatePassword', 'give a password hash or have a password made, not both')
  }
  const text = randomSecret(ENTROPY_BYTES)
  return { hash: cryptSha512(text), text }
}

/** As it is kept. */
export const sealRootPassword = ({ settings }: Ctx, { text }: RootPassword): Buffer | null =>
  text === null ? null : seal(settings.masterKey, text)
