import type * as credentials from '../../../services/credentials.ts'
import type * as contract from '../contract/credentials.ts'
import { time } from './common.ts'

export const presentCredential = (credential: credentials.Credential): contract.Credential => ({
  type: credential.type,
  username: credential.username,
  createdAt: time(credential.createdAt),
  updatedAt: time(credential.updatedAt),
})
