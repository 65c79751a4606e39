import { z } from 'zod'
import { type Endpoint, listOf, PageAllQuery, Timestamp, V } from './common.ts'

export const AuditEntry = z
  .object({
    id: z.string(),
    at: Timestamp,
    accountId: z.string().nullable(),
    apiKeyId: z.string().nullable(),
    address: z.string().nullable(),
    requestId: z.string(),
    dialect: z.string(),
    method: z.string(),
    path: z.string(),
    resourceId: z.string().nullable(),
    status: z.int(),
    errorCode: z.string().nullable(),
  })
  .meta({ id: 'AuditEntry' })
export type AuditEntry = z.infer<typeof AuditEntry>

export const auditEndpoints = {
  listAudit: {
    method: 'GET',
    path: `${V}/audit`,
    summary: 'List who changed what, the newest first',
    status: 200,
    query: PageAllQuery,
    answer: listOf(AuditEntry),
  },
} as const satisfies Record<string, Endpoint>
