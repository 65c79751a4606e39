import type * as apiKeys from '../../../services/api-keys.ts'
import type * as contract from '../contract/api-keys.ts'
import { maybe, time } from './common.ts'

export const presentKey = (key: apiKeys.ApiKey): contract.Key => ({
  id: key.id,
  name: key.name,
  service: key.service,
  keyId: key.keyId,
  scopes: key.scopes,
  expiresAt: maybe(key.expiresAt),
  revokedAt: maybe(key.revokedAt),
  lastUsedAt: maybe(key.lastUsedAt),
  createdAt: time(key.createdAt),
})
