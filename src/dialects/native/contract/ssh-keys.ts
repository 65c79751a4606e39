import { z } from 'zod'
import { SSH_KEY_LENGTH_MAX } from '../../../model/ssh-key.ts'
import { type Endpoint, listOf, Name, Ref, Timestamp, V } from './common.ts'

export const SshKey = z
  .object({
    id: z.string(),
    uuid: z.uuid(),
    number: z.int(),
    name: z.string(),
    publicKey: z.string(),
    fingerprint: z.string().describe('as `ssh-keygen -l` prints it'),
    createdAt: Timestamp,
  })
  .meta({ id: 'SshKey' })
export type SshKey = z.infer<typeof SshKey>

export const AddSshKey = z
  .strictObject({ name: Name, publicKey: z.string().max(SSH_KEY_LENGTH_MAX).describe('one OpenSSH line') })
  .meta({ id: 'AddSshKey' })

export const sshKeysEndpoints = {
  listSshKeys: {
    method: 'GET',
    path: `${V}/ssh-keys`,
    summary: 'List stored SSH keys',
    status: 200,
    answer: listOf(SshKey),
  },
  addSshKey: {
    method: 'POST',
    path: `${V}/ssh-keys`,
    summary: 'Store an SSH key',
    status: 201,
    body: AddSshKey,
    answer: SshKey,
  },
  deleteSshKey: {
    method: 'DELETE',
    path: `${V}/ssh-keys/{id}`,
    summary: 'Forget an SSH key; instances keep what they have',
    status: 200,
    params: Ref,
    answer: SshKey,
  },
} as const satisfies Record<string, Endpoint>
