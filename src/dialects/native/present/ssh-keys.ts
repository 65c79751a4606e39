import type * as sshKeys from '../../../services/ssh-keys.ts'
import type * as contract from '../contract/ssh-keys.ts'
import { time } from './common.ts'

export const presentSshKey = (key: sshKeys.SshKey): contract.SshKey => ({
  id: key.id,
  uuid: key.uuid,
  number: key.number,
  name: key.name,
  publicKey: key.publicKey,
  fingerprint: key.fingerprint,
  createdAt: time(key.createdAt),
})
