/** What only an operator sees: the machines underneath, and what is stuck. */
import { z } from 'zod'
import { type Endpoint, listOf, Paging, Ref, Timestamp, V } from './common.ts'

export const Host = z
  .object({
    id: z.string(),
    name: z.string(),
    regionId: z.string(),
    driver: z.string(),
    isOnline: z.boolean(),
    vcpus: z.int().nullable().describe('that may be sold; null = unlimited'),
    memoryMib: z.int().nullable(),
    diskBytes: z.int().nullable(),
    diskFreeBytes: z.int().nullable(),
    usedVcpus: z.int(),
    usedMemoryMib: z.int(),
    instances: z.int(),
    facts: z.record(z.string(), z.unknown()).describe('accelerator, versions …'),
    seenAt: Timestamp,
  })
  .meta({ id: 'Host' })
export type Host = z.infer<typeof Host>

export const Incident = z
  .object({
    id: z.string(),
    number: z.int(),
    strandId: z.string().describe('the id of the instance or image that is stuck'),
    kind: z.string().describe('`deadline`, `crash-loop` …'),
    step: z.string().nullable(),
    message: z.string(),
    openedAt: Timestamp,
    resolvedAt: Timestamp.nullable(),
    resolution: z.string().nullable(),
  })
  .meta({ id: 'Incident' })
export type Incident = z.infer<typeof Incident>

export const ListIncidentsQuery = z.strictObject({
  ...Paging,
  state: z.enum(['open', 'all']).default('open'),
})

export const operatorEndpoints = {
  listHosts: { method: 'GET', path: `${V}/hosts`, summary: 'List hosts', status: 200, answer: listOf(Host) },
  listIncidents: {
    method: 'GET',
    path: `${V}/incidents`,
    summary: 'List incidents',
    status: 200,
    query: ListIncidentsQuery,
    answer: listOf(Incident),
  },
  recoverIncident: {
    method: 'POST',
    path: `${V}/incidents/{id}/recover`,
    summary: 'Try the stuck step again',
    status: 200,
    params: Ref,
    answer: Incident,
  },
} as const satisfies Record<string, Endpoint>
