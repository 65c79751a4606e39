/**
 * kill -9 of everybody who takes part, at every step of making, expiring, restoring and proving a backup of a real
 * machine. A seeded sample by default, the same for the same HAVN_TEST_SEED; HAVN_TEST_ALL=1 walks the whole, and
 * HAVN_TEST_KILLS is a regular expression that chooses walks by their names.
 */
import { test } from 'node:test'
import { randomFrom } from '../bytes.ts'
import { startKillCloud } from './kills/cloud.ts'
import { nameOf, type Walk, walkerOf } from './kills/walk.ts'

const SEED = Number(process.env.HAVN_TEST_SEED ?? Date.now() % 1_000_000)
const WALK_MS = 15 * 60_000
const random = randomFrom(SEED)

/** What one run takes of the whole: a walk from each of these groups of stories, in this order. */
const SAMPLE: readonly (readonly string[])[] = [['create'], ['create, stopped', 'delete while it is uploaded']]

function chosen(walks: readonly Walk[]): readonly Walk[] {
  const wish = process.env.HAVN_TEST_KILLS
  if (wish) return walks.filter((walk) => new RegExp(wish).test(nameOf(walk)))
  if (process.env.HAVN_TEST_ALL === '1') return walks
  return SAMPLE.map((stories) => {
    const some = walks.filter(({ story }) => stories.includes(story))
    return some[Math.floor(random() * some.length)]!
  })
}

test('whoever is killed, at whatever step of a backup', async (t) => {
  t.diagnostic(`HAVN_TEST_SEED=${SEED}`)
  const cloud = await startKillCloud()
  t.after(() => cloud.close())
  const { walks, walk } = walkerOf(cloud)
  for (const one of chosen(walks)) {
    await t.test(nameOf(one), { timeout: WALK_MS }, async (t) => {
      const { kills, spared, took } = await walk(one, random)
      t.diagnostic(
        `killed: ${kills.join('; ') || 'nobody'}. Nobody there: ${spared.join('; ') || '-'}. Seconds: ${took}`,
      )
    })
  }
})
