import { z } from 'zod'
import { SCOPES, SERVICES } from '../../../model/scopes.ts'
import { type Endpoint, listOf, Name, Ref, Timestamp, V } from './common.ts'

export const Key = z
  .object({
    id: z.string(),
    name: z.string(),
    service: z.enum(SERVICES),
    keyId: z.string().describe('the part of the key that is no secret'),
    scopes: z.array(z.enum(SCOPES)),
    expiresAt: Timestamp.nullable(),
    revokedAt: Timestamp.nullable(),
    lastUsedAt: Timestamp.nullable(),
    createdAt: Timestamp,
  })
  .meta({ id: 'Key' })
export type Key = z.infer<typeof Key>

export const CreateKey = z
  .strictObject({
    name: Name,
    service: z.enum(SERVICES).default('api').describe('`api` and `pat` open every service, the others their own'),
    scopes: z.array(z.enum(SCOPES)).min(1).optional().describe('default: all that the service allows'),
    readOnly: z.boolean().default(false),
    expiresAt: Timestamp.optional(),
  })
  .meta({ id: 'CreateKey' })
export type CreateKey = z.input<typeof CreateKey>

export const CreatedKey = z
  .object({ key: Key, apiKey: z.string().describe('the text of the key, shown once') })
  .meta({ id: 'CreatedKey' })
export type CreatedKey = z.infer<typeof CreatedKey>

export const apiKeysEndpoints = {
  listKeys: {
    method: 'GET',
    path: `${V}/keys`,
    summary: 'List API keys',
    status: 200,
    answer: listOf(Key),
  },
  createKey: {
    method: 'POST',
    path: `${V}/keys`,
    summary: 'Create an API key',
    status: 201,
    body: CreateKey,
    answer: CreatedKey,
  },
  revokeKey: {
    method: 'DELETE',
    path: `${V}/keys/{id}`,
    summary: 'Revoke an API key',
    status: 200,
    params: Ref,
    answer: Key,
  },
} as const satisfies Record<string, Endpoint>
