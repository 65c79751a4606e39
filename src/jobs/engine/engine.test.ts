import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { testDatabase } from '../../../test/database.ts'
import { eventually } from '../../../test/eventually.ts'
import { CloudError } from '../../model/errors.ts'
import { type Db, execute } from '../../store/db.ts'
import * as strands from '../../store/strands.ts'
import { createEngine, type Engine } from './engine.ts'
import { defineStrand, done, goto, rest, type StepContext, type StrandDefinition, wait } from './strand.ts'

type Run = (context: StepContext<object>) => Promise<ReturnType<typeof goto<string>> | ReturnType<typeof rest>>

interface Setup {
  db: Db
  engine: Engine
  start(steps: Record<string, Run>, options?: Partial<StrandDefinition<object>>): Promise<void>
}

async function setUp(t: { after(fn: () => Promise<void>): void }): Promise<Setup> {
  const cleanups: (() => Promise<void>)[] = []
  const { db } = await testDatabase({ after: (fn) => void cleanups.push(fn) })
  let engine: Engine | undefined
  t.after(async () => {
    await engine?.stop()
    for (const clean of cleanups) await clean()
  })
  const setup: Setup = {
    db,
    get engine() {
      return engine!
    },
    async start(steps, options = {}) {
      const [first] = Object.keys(steps)
      const definition = defineStrand<object>()({
        kind: 'test',
        first: first!,
        steps: Object.fromEntries(
          Object.entries(steps).map(([name, run]) => [name, { run: run as never, deadlineMs: 60_000 }]),
        ),
        ...options,
      } as StrandDefinition<object>)
      await strands.create(db, { id: 's', kind: 'test', step: first!, deadlineMs: 60_000 })
      engine = createEngine<object>({
        db,
        worker: 'w',
        hosts: [],
        definitions: [definition],
        tools: {},
        log: () => {},
        pollMs: 10,
      })
      await engine.start()
    },
  }
  return setup
}

const row = (db: Db) => strands.find(db, 's')
const stepIs = (db: Db, step: string) =>
  eventually(`step ${step}`, async () => {
    const strand = await row(db)
    return strand?.step === step && strand.leased_by === null
  })

test('a strand goes from step to step, keeps its memory, and ends', async (t) => {
  const { db, start } = await setUp(t)
  const seen: unknown[] = []
  await start({
    one: async () => ({ kind: 'goto', step: 'two', state: { count: 1 } }),
    two: async ({ state }) => {
      seen.push(state)
      return done() as never
    },
  })
  await eventually('it ends', async () => (await row(db)) === undefined)
  assert.deepEqual(seen, [{ count: 1 }])
})

test('the write of a step and its move commit together or not at all', async (t) => {
  const { db, start } = await setUp(t)
  let tries = 0
  await start({
    one: async () =>
      goto('two', async (tx) => {
        await execute(tx, `INSERT INTO setting (key, value) VALUES ('written', '${++tries}')`)
        if (tries === 1) throw new CloudError('unavailable', 'the commit fails once')
      }),
    two: async () => rest(),
  })
  await stepIs(db, 'two')
  const written = await db.selectFrom('setting').selectAll().execute()
  assert.deepEqual(written, [{ key: 'written', value: 2 }])
})

test('a wake that comes while a step runs is not swallowed by its nap', async (t) => {
  const { db, start } = await setUp(t)
  let runs = 0
  await start({
    one: async () => {
      if (++runs === 1) await strands.wake(db, 's')
      return rest()
    },
  })
  await eventually('it ran again', () => runs === 2)
  await stepIs(db, 'one')
  assert.equal(runs, 2)
})

test('an intent aborts the step that runs and pre-empts it', async (t) => {
  const setup = await setUp(t)
  const { db, start } = setup
  let aborted = false
  await start(
    {
      one: async ({ signal }) => {
        await sleep(60_000, null, { signal }).catch(() => {
          aborted = true
        })
        signal.throwIfAborted()
        return rest()
      },
      away: async () => rest(),
    },
    { intents: { leave: { step: 'away', beyond: [] } } },
  )
  await eventually('it runs', async () => (await row(db))?.leased_by === 'w')
  await strands.wake(db, 's', 'leave')
  setup.engine.nudge(true)
  await stepIs(db, 'away')
  assert.ok(aborted)
  assert.deepEqual((await row(db))?.intents, [])
})

test('a worker that lost its lease writes nothing', async (t) => {
  const setup = await setUp(t)
  const { db, start } = setup
  let release: () => void = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let runs = 0
  await start({
    one: async () => {
      if (++runs === 1) await held
      return goto('two', (tx) => execute(tx, `INSERT INTO setting (key, value) VALUES ('run${runs}', '1')`))
    },
    two: async () => rest(),
  })
  await eventually('it runs', () => runs === 1)
  // Another worker took the strand over and left it parked, as after a long pause of ours.
  await execute(
    db,
    "UPDATE strand SET lease_token = lease_token + 1, leased_by = NULL, leased_until = NULL, wake_at = 'infinity'",
  )
  release()
  await setup.engine.stop()
  assert.equal((await row(db))?.step, 'one')
  assert.deepEqual(await db.selectFrom('setting').selectAll().execute(), [])
})

test('a failing step is tried again and says why; past its deadline an incident opens and closes by itself', async (t) => {
  const { db, start } = await setUp(t)
  let isBroken = true
  await start({
    one: async () => {
      if (isBroken) throw new CloudError('unavailable', 'the disk is full')
      return goto('two')
    },
    two: async () => rest(),
  })
  await eventually('it failed', async () => ((await row(db))?.tries ?? 0) > 0)
  assert.equal((await row(db))?.last_error, 'the disk is full')
  await execute(db, "UPDATE clock SET time_offset = '2 minutes'")
  await eventually('the incident', async () => (await db.selectFrom('incident').selectAll().execute()).length === 1)
  const [incident] = await db.selectFrom('incident').selectAll().execute()
  assert.match(incident!.message, /step one is past its deadline; last error: the disk is full/)
  isBroken = false
  await execute(db, "UPDATE clock SET time_offset = '10 minutes'")
  await stepIs(db, 'two')
  const [closed] = await db.selectFrom('incident').selectAll().execute()
  assert.equal(closed!.resolution, 'the step came to its end')
})

test("an error that trying again cannot mend goes to the strand's own answer", async (t) => {
  const { db, start } = await setUp(t)
  await start(
    {
      one: async () => {
        throw new CloudError('invalid', 'the image is broken')
      },
      failed: async () => rest(),
    },
    {
      onRefused: async (_context, _step, error) =>
        goto('failed', (tx) => execute(tx, `INSERT INTO setting (key, value) VALUES ('${error.message}', '1')`)),
    },
  )
  await stepIs(db, 'failed')
  assert.deepEqual(await db.selectFrom('setting').select('key').execute(), [{ key: 'the image is broken' }])
})

test('a new worker of the same name frees what the old one held, and fences it off', async (t) => {
  const { db } = await testDatabase(t)
  await strands.create(db, { id: 's', kind: 'test', step: 'one', deadlineMs: null })
  const [lease] = await strands.lease(db, 'w', [], 1, 3_600_000)
  assert.ok(lease)
  assert.deepEqual(await strands.lease(db, 'w', [], 1, 3_600_000), [])
  assert.equal(await strands.releaseAllOf(db, 'other'), 0)
  assert.equal(await strands.releaseAllOf(db, 'w'), 1)
  const [again] = await strands.lease(db, 'w', [], 1, 3_600_000)
  assert.ok(again && again.token > lease.token)
  const move = {
    step: 'two',
    wakeInMs: 0,
    deadlineMs: null,
    state: undefined,
    dropIntents: [],
    tries: 0,
    lastError: null,
    keepLease: false,
  }
  await assert.rejects(strands.move(db, lease, move), /lease on strand s is lost/)
})

test('a strand of another host is left to its worker', async (t) => {
  const { db } = await testDatabase(t)
  await strands.create(db, { id: 's', kind: 'test', step: 'one', deadlineMs: null, hostId: 'host_b' })
  assert.deepEqual(await strands.lease(db, 'w', ['host_a'], 1, 1_000), [])
  assert.equal((await strands.lease(db, 'w', ['host_a', 'host_b'], 1, 1_000)).length, 1)
})

test('a nap ends when its time has come, not before', async (t) => {
  const { db, start } = await setUp(t)
  let runs = 0
  await start({ one: async () => (++runs === 1 ? wait(3_600_000) : rest()) })
  await eventually('it naps', async () => runs === 1 && (await row(db))?.leased_by === null)
  await execute(db, "UPDATE clock SET time_offset = '59 minutes'")
  assert.deepEqual(await strands.lease(db, 'another', [], 1, 1_000), [], 'not due')
  assert.equal(runs, 1)
  await execute(db, "UPDATE clock SET time_offset = '61 minutes'")
  await eventually('it woke', () => runs === 2)
})
