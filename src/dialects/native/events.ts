/**
 * State changes as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). An event's id is
 * its place in commit order, so a client that comes back with `Last-Event-ID` misses nothing. A stream ends by itself
 * after a while: the client connects again, and a key that was revoked meanwhile no longer opens one.
 */

import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { CloudError } from '../../model/errors.ts'
import type { Ctx } from '../../services/ctx.ts'
import * as events from '../../services/events.ts'
import { malformed } from '../http/errors.ts'
import { Answer, type Route, route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentEvent } from './present/events.ts'

/** Tells whenever there may be new events; returns how to stop that. */
export type OnEvent = (listener: () => void) => () => void

const POLL_MS = 1_000 // notices are hints
const HEARTBEAT_MS = 15_000 // below the 30 to 60 s after which proxies drop a silent connection
const LIFETIME_MS = 15 * 60_000
const STREAMS_PER_ACCOUNT_MAX = 50

export function streamEvents(onEvent: OnEvent | undefined): Route {
  const open = new Map<string, number>()
  return route({
    ...endpoints.streamEvents,
    scope: 'instances:read',
    reach: 'asked',
    async run(ctx, { query, headers, signal }) {
      const place = headers['last-event-id'] ?? query.after
      if (place !== undefined && (typeof place !== 'string' || !events.isCursor(place))) {
        const message = 'is not the id of an event'
        throw malformed([{ where: 'header', path: ['Last-Event-ID'], code: 'invalid_format', message }])
      }
      const { accountId } = ctx.caller
      const count = open.get(accountId) ?? 0
      if (count >= STREAMS_PER_ACCOUNT_MAX) {
        throw new CloudError('rate_limited', `an account may watch ${STREAMS_PER_ACCOUNT_MAX} times at once`)
      }
      const { cursor } = await events.since(ctx, place ?? null)
      open.set(accountId, count + 1)
      const text = watch(ctx, place ?? cursor, AbortSignal.any([signal, AbortSignal.timeout(LIFETIME_MS)]), onEvent)
      const stream = Readable.from(text).once('close', () => {
        const left = open.get(accountId)! - 1
        if (left > 0) open.set(accountId, left)
        else open.delete(accountId)
      })
      return new Answer(stream, {
        type: endpoints.streamEvents.produces,
        // The second header is nginx's: do not collect what should flow.
        headers: { 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
      })
    },
  })
}

async function* watch(
  ctx: Ctx,
  from: string,
  signal: AbortSignal,
  onEvent: OnEvent | undefined,
): AsyncGenerator<string> {
  let wake = () => {}
  const stop = onEvent?.(() => wake())
  try {
    let cursor = from
    let saidAt = performance.now()
    yield `retry: 1000\nid: ${cursor}\n\n`
    while (!signal.aborted) {
      const hint = new Promise<void>((resolve) => {
        wake = resolve
      })
      const found = await events.since(ctx, cursor)
      cursor = found.cursor
      for (const event of found.events) yield eventText(event)
      if (found.events.length > 0) saidAt = performance.now()
      else if (performance.now() - saidAt >= HEARTBEAT_MS) {
        saidAt = performance.now()
        yield ': still here\n\n'
      }
      if (!found.isMore) await Promise.race([hint, sleep(POLL_MS, undefined, { signal }).catch(() => {})])
    }
  } finally {
    stop?.()
  }
}

function eventText(event: events.CloudEvent): string {
  const presented = presentEvent(event)
  return `id: ${presented.id}\nevent: ${presented.kind}\ndata: ${JSON.stringify(presented)}\n\n`
}
