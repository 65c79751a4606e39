/** OpenSSH public keys, as they stand in an authorized_keys file (RFC 4253, section 6.6; without options). */

const TYPES: readonly string[] = [
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
]
export const SSH_KEY_LENGTH_MAX = 16_384 // a 16384-bit RSA key is 2.8 kB

/** The key as one clean line, or null when it is not a public key (a private key, an option list, two lines …). */
export function normalizeSshKey(text: string): string | null {
  const line = text.trim()
  if (line.length > SSH_KEY_LENGTH_MAX || /[\r\n\0]/.test(line)) return null
  const [type, blob, ...comment] = line.split(/[ \t]+/)
  if (!type || !blob || !TYPES.includes(type) || !/^[A-Za-z0-9+/]+={0,2}$/.test(blob)) return null
  const bytes = Buffer.from(blob, 'base64')
  if (bytes.length < 4 + type.length + 4 || bytes.readUInt32BE(0) !== type.length) return null
  if (bytes.toString('latin1', 4, 4 + type.length) !== type) return null
  return [type, blob, ...comment].join(' ')
}
