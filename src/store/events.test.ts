import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testDatabase } from '../../test/database.ts'
import { eventually } from '../../test/eventually.ts'
import * as events from './events.ts'

const event = (resourceId: string) => ({ accountId: null, kind: 'test', resourceId, data: {} })

test('a watcher misses nothing when a transaction commits after a younger one', async (t) => {
  const { db } = await testDatabase(t)
  let finish: () => void = () => {}
  const held = new Promise<void>((resolve) => {
    finish = resolve
  })
  let begun: () => void = () => {}
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve
  })
  const slow = db.transaction().execute(async (tx) => {
    await events.emit(tx, event('slow'))
    begun()
    await held
  })
  await hasBegun
  await events.emit(db, event('quick'))
  const early = await events.since(db, '0-0', null, 10)
  assert.deepEqual(early, [], 'the younger one waits for the older')
  finish()
  await slow
  // The oldest open transaction may be one of another database on the same server.
  const all = await eventually('both events show', async () => {
    const found = await events.since(db, '0-0', null, 10)
    return found.length === 2 && found
  })
  assert.deepEqual(
    all.map(({ resourceId }) => resourceId),
    ['slow', 'quick'],
  )
  assert.deepEqual(
    (await events.since(db, all[0]!.cursor, null, 10)).map(({ resourceId }) => resourceId),
    ['quick'],
  )
  assert.equal(await events.latestCursor(db), all[1]!.cursor)
})
