import { z } from 'zod'
import { type Endpoint, V } from './common.ts'
import { Operation } from './operations.ts'
import { Host } from './operator.ts'

export const Status = z
  .object({
    version: z.string(),
    compute: z.string(),
    apiUrl: z.string(),
    s3Url: z.string(),
    dnsAddress: z.string(),
    isReady: z.boolean().describe('the database answers and a worker was seen lately'),
    problems: z.array(z.string()).describe('why it is not ready'),
    instances: z.record(z.string(), z.int()).describe('how many are in each state; of every account for an operator'),
    openOperations: z.array(Operation).describe('at most 20, the newest first'),
    openIncidents: z.int().nullable().describe('operators only'),
    hosts: z.array(Host).nullable().describe('operators only'),
  })
  .meta({ id: 'Status' })
export type Status = z.infer<typeof Status>

export const statusEndpoints = {
  getStatus: { method: 'GET', path: `${V}/status`, summary: 'How the cloud is', status: 200, answer: Status },
} as const satisfies Record<string, Endpoint>
