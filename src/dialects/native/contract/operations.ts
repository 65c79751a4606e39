import { z } from 'zod'
import { OPERATION_STATES } from '../../../model/operation.ts'
import { All, type Endpoint, listOf, Paging, Ref, Timestamp, V } from './common.ts'

export const Operation = z
  .object({
    id: z.string(),
    uuid: z.uuid(),
    number: z.int(),
    accountId: z.string().nullable(),
    kind: z.string().describe('for example `instance.create`'),
    resourceId: z.string(),
    state: z.enum(OPERATION_STATES),
    progressPercent: z.int().nullable().describe('null = not measurable'),
    message: z.string().nullable(),
    errorCode: z.string().nullable(),
    requestId: z.string().nullable(),
    createdAt: Timestamp,
    startedAt: Timestamp.nullable(),
    finishedAt: Timestamp.nullable(),
  })
  .meta({ id: 'Operation' })
export type Operation = z.infer<typeof Operation>

export const ListOperationsQuery = z.strictObject({
  ...Paging,
  ...All,
  open: z.enum(['true', 'false']).optional().describe('`true`: only those that are not over'),
  resourceId: z.string().optional(),
})

export const operationsEndpoints = {
  listOperations: {
    method: 'GET',
    path: `${V}/operations`,
    summary: 'List operations',
    status: 200,
    query: ListOperationsQuery,
    answer: listOf(Operation),
  },
  getOperation: {
    method: 'GET',
    path: `${V}/operations/{id}`,
    summary: 'Get an operation',
    status: 200,
    params: Ref,
    answer: Operation,
  },
} as const satisfies Record<string, Endpoint>
