import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testDatabase } from '../../test/database.ts'
import { make } from '../../test/make.ts'
import * as stats from './stats.ts'

test('traffic only grows: a reset is bridged, a replay adds nothing, silence keeps the total', async (t) => {
  const { db } = await testDatabase(t)
  const { instance } = await make(db)
  const instanceId = await instance()
  const NOTHING = {
    cpuPercent: null,
    memoryUsedBytes: null,
    memoryTotalBytes: null,
    diskUsedBytes: null,
    diskTotalBytes: null,
  }
  for (const [raw, total] of [
    [100, 100],
    [150, 150],
    [150, 150],
    [20, 170],
    [null, 170],
    [25, 175],
  ] as const) {
    await stats.record(db, {
      ...NOTHING,
      instanceId,
      measuredAt: new Date(),
      networkInBytes: raw,
      networkOutBytes: null,
    })
    const row = await stats.find(db, instanceId)
    assert.equal(row?.networkInBytes, total, `after ${raw}`)
    assert.equal(row?.networkOutBytes, null)
  }
})
