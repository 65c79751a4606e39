import { z } from 'zod'
import { All, type Endpoint, Timestamp, V } from './common.ts'

/** One server-sent event: `id:` resumes with `Last-Event-ID`, `event:` is the kind, `data:` is this. */
export const CloudEvent = z
  .object({
    id: z.string(),
    at: Timestamp,
    kind: z.string().describe('for example `instance.state`'),
    accountId: z.string().nullable(),
    resourceId: z.string(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'Event' })
export type CloudEvent = z.infer<typeof CloudEvent>

export const EventsQuery = z.strictObject({
  ...All,
  after: z.string().max(64).optional().describe('like the header Last-Event-ID, for clients that cannot set it'),
})

export const eventsEndpoints = {
  streamEvents: {
    method: 'GET',
    path: `${V}/events`,
    summary: 'Watch state changes as server-sent events',
    status: 200,
    query: EventsQuery,
    produces: 'text/event-stream',
  },
} as const satisfies Record<string, Endpoint>
