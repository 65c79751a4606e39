/** Server-sent events: every change in order, and nothing missed by a client that comes back. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { CloudEvent } from '../../src/dialects/native/contract/events.ts'
import { until, untilState, wireOfSuite } from './wire.ts'

describe('events', () => {
  const wire = wireOfSuite()

  /** Reads from the stream until `isEnough`; returns what came. */
  async function watch(
    isEnough: (events: CloudEvent[]) => boolean,
    {
      after,
      key = wire().ownerKey,
      all = false,
      act,
    }: { after?: string; key?: string; all?: boolean; act?: () => Promise<unknown> } = {},
  ): Promise<CloudEvent[]> {
    const stop = new AbortController()
    const response = await fetch(`${wire().apiUrl}/havn/v1/events${all ? '?all=true' : ''}`, {
      headers: { 'x-api-key': key, ...(after && { 'last-event-id': after }) },
      signal: AbortSignal.any([stop.signal, AbortSignal.timeout(30_000)]),
    })
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    const events: CloudEvent[] = []
    let text = ''
    let acted = false
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      // The first bytes say that the place to begin from is fixed.
      if (!acted) await act?.()
      acted = true
      text += chunk
      const blocks = text.split('\n\n')
      text = blocks.pop()!
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
        const data = field('data')
        if (!data) continue
        const event = JSON.parse(data) as CloudEvent
        assert.deepEqual([field('id'), field('event')], [event.id, event.kind])
        events.push(event)
      }
      if (isEnough(events)) break
    }
    stop.abort()
    return events
  }
  const isOver = (id: string) => (events: CloudEvent[]) =>
    events.some(({ resourceId, kind, data }) => resourceId === id && kind === 'operation' && data.state === 'succeeded')
  const power = (verb: string) => wire().call('POST', `/havn/v1/instances/${wire().instance.id}/${verb}`)

  test('a watcher sees a change as it happens, and one that comes back sees the same again', async () => {
    const { id } = wire().instance
    const seen = await watch(isOver(id), { act: () => power('stop') })
    assert.ok(seen.some(({ resourceId, data }) => resourceId === id && data.state === 'stopped'))
    const [first] = seen
    const again = await watch((events) => events.length >= seen.length - 1, { after: first!.id })
    assert.deepEqual(again.slice(0, seen.length - 1), seen.slice(1))
  })

  test('what happened while nobody watched is not missed', async () => {
    const { id } = wire().instance
    const before = await watch(isOver(id), { act: () => power('start') })
    await untilState(wire(), id, 'running')
    await power('reboot')
    await until('the reboot to be over', async () => {
      const { body } = await wire().call<{ items: { kind: string; state: string }[] }>(
        'GET',
        `/havn/v1/operations?resourceId=${id}`,
      )
      return body.items[0]!.kind === 'instance.reboot' && body.items[0]!.state === 'succeeded'
    })
    const missed = await watch(isOver(id), { after: before.at(-1)!.id })
    assert.ok(missed.some(({ data }) => data.kind === 'instance.reboot'))
    assert.equal(new Set([...before, ...missed].map((event) => event.id)).size, before.length + missed.length)
  })

  test("another account sees its own events only, an operator everybody's", async () => {
    const make = () =>
      wire().call<{ instance: { id: string } }>('POST', '/havn/v1/instances', { name: 'theirs' }, wire().keys.other)
    let theirs = ''
    const act = async () => {
      theirs = (await make()).body.instance.id
      await power('stop')
    }
    const own = await watch((events) => isOver(theirs)(events), { key: wire().keys.other, act })
    assert.ok(own.every(({ resourceId }) => resourceId === theirs))
    await untilState(wire(), wire().instance.id, 'stopped')
    const all = await watch((events) => events.some(({ resourceId }) => resourceId === theirs), {
      all: true,
      after: '0-0',
    })
    assert.ok(all.length > 0)
    assert.equal((await wire().call('GET', '/havn/v1/events?all=true', undefined, wire().keys.other)).status, 403)
  })
})
