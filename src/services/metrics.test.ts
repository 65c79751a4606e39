import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { testDatabase } from '../../test/database.ts'
import { make, UNMEASURED } from '../../test/make.ts'
import { CloudError } from '../model/errors.ts'
import type { Granularity, Span } from '../model/metric.ts'
import { SCOPES } from '../model/scopes.ts'
import { pack, prune, rollUp } from '../store/roll-up.ts'
import * as stats from '../store/stats.ts'
import type { Ctx } from './ctx.ts'
import * as metrics from './metrics.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const never = new AbortController().signal

/** One instance, made at `start`, and a clock that goes where it is told to. */
async function begin(t: Parameters<typeof testDatabase>[0], start: string) {
  const { db } = await testDatabase(t)
  const maker = await make(db)
  const ctx = {
    db,
    reach: 'account',
    caller: { accountId: maker.accountId, scopes: new Set(SCOPES) },
  } as unknown as Ctx
  async function goTo(time: number): Promise<Date> {
    const real = new Date()
    await sql`UPDATE clock SET time_offset = ${(time - real.getTime()) / 1000} * interval '1 second'`.execute(db)
    return real
  }
  await goTo(Date.parse(start))
  const id = await maker.instance()
  return {
    db,
    ctx,
    id,
    goTo,
    async sample(time: number | string, values: Partial<stats.Measured>) {
      const measuredAt = await goTo(typeof time === 'number' ? time : Date.parse(time))
      await stats.record(db, [{ ...UNMEASURED, ...values, instanceId: id, measuredAt }])
    },
    async stopAt(time: string) {
      await goTo(Date.parse(time))
      await sql`UPDATE instance SET state = 'stopped', state_changed_at = cloud_now()`.execute(db)
      await stats.endRuns(db)
      await sql`UPDATE instance SET state = 'running'`.execute(db)
    },
    /** As pairs of in and out. */
    async traffic(granularity: Granularity, from: string, to: string) {
      const moved = await metrics.traffic(ctx, id, { granularity, from: new Date(from), to: new Date(to) })
      return moved.in.map(({ bytes }, index) => [bytes, moved.out[index]!.bytes])
    },
  }
}

const net = (run: string, networkInBytes: number, networkOutBytes = 0) => ({ run, networkInBytes, networkOutBytes })

test('every byte stands in one interval of every granularity, over restarts of the instance', async (t) => {
  const it = await begin(t, '2026-03-30T23:50:00Z')
  await it.sample('2026-03-30T23:54:00Z', net('a', 100, 1))
  await it.sample('2026-03-30T23:59:59Z', net('a', 150, 2))
  await it.sample('2026-03-31T00:00:09Z', net('a', 175, 3))
  await it.sample('2026-03-31T00:06:00Z', net('b', 1_000, 500))
  await it.sample('2026-04-01T00:00:01Z', net('b', 1_001, 500))
  for (const prepare of [async () => {}, async () => void (await rollUp(it.db))]) {
    await prepare()
    const [from, to] = ['2026-03-30T00:00:00Z', '2026-04-01T00:00:02Z']
    assert.deepEqual(await it.traffic('none', from, to), [[1_176, 503]])
    assert.deepEqual(await it.traffic('year', from, to), [[1_176, 503]])
    assert.deepEqual(await it.traffic('month', from, to), [
      [1_175, 503],
      [1, 0],
    ])
    assert.deepEqual(await it.traffic('day', from, to), [
      [150, 2],
      [1_025, 501],
      [1, 0],
    ])
    assert.deepEqual(await it.traffic('hour', '2026-03-30T23:00:00Z', '2026-03-31T01:00:00Z'), [
      [150, 2],
      [1_025, 501],
    ])
    assert.deepEqual(await it.traffic('5min', '2026-03-30T23:50:00Z', '2026-03-31T00:10:00Z'), [
      [100, 1],
      [50, 1],
      [25, 1],
      [1_000, 500],
    ])
    const month = await metrics.monthTraffic(it.ctx, it.id)
    assert.deepEqual([month.inBytes, month.outBytes, month.from.toISOString()], [1, 0, '2026-04-01T00:00:00.000Z'])
  }
})

test('a span may be cut anywhere: its parts add up, and its intervals are clipped to it', async (t) => {
  const it = await begin(t, '2026-05-01T00:00:00Z')
  const start = Date.parse('2026-05-01T00:00:00Z')
  let total = 0
  for (let index = 1; index <= 120; index++) {
    total += (index * 7_919) % 1_000
    await it.sample(start + index * 13_000, net('a', total))
    if (index % 50 === 0) await rollUp(it.db)
  }
  const end = start + 120 * 13_000 + 1
  const sumOf = async (granularity: Granularity, span: Span) =>
    (await metrics.traffic(it.ctx, it.id, { ...span, granularity })).in.reduce(
      (sum, { bytes }) => sum + (bytes ?? 0),
      0,
    )
  for (const cutAfterMs of [1, 299_999, 300_000, 300_001, 777_777]) {
    const cut = new Date(start + cutAfterMs)
    for (const granularity of ['none', '5min', 'hour', 'day'] as const) {
      const parts = [
        await sumOf(granularity, { from: new Date(start), to: cut }),
        await sumOf(granularity, { from: cut, to: new Date(end) }),
      ]
      assert.equal(parts[0]! + parts[1]!, total, `${granularity}, cut after ${cutAfterMs} ms`)
    }
  }
  const { in: clipped } = await metrics.traffic(it.ctx, it.id, {
    granularity: '5min',
    from: new Date(start + MINUTE),
    to: new Date(start + 7 * MINUTE),
  })
  assert.deepEqual(
    clipped.map(({ from, to }) => [from.getTime() - start, to.getTime() - start]),
    [
      [MINUTE, 5 * MINUTE],
      [5 * MINUTE, 7 * MINUTE],
    ],
  )
})

test('an interval without a sample is 0 when it is known to be, and null when nobody looked', async (t) => {
  const it = await begin(t, '2026-06-01T00:00:00Z')
  await it.sample('2026-06-01T00:01:00Z', net('a', 10))
  await it.stopAt('2026-06-01T00:02:00Z')
  await it.sample('2026-06-01T00:21:00Z', net('b', 5)) // off before: known
  await it.sample('2026-06-01T00:41:00Z', net('b', 5)) // not looked at, but nothing moved
  await it.sample('2026-06-01T01:01:00Z', net('b', 9)) // not looked at, and something moved
  for (const prepare of [async () => {}, async () => void (await rollUp(it.db))]) {
    await prepare()
    const values = await it.traffic('5min', '2026-05-31T23:55:00Z', '2026-06-01T01:05:00Z')
    assert.deepEqual(
      values.map(([bytes]) => bytes),
      [0, 10, 0, 0, 0, 5, 0, 0, 0, 0, null, null, null, 4],
    )
  }
  await it.goTo(Date.parse('2026-06-01T01:01:30Z'))
  assert.deepEqual(await it.traffic('none', '2026-06-01T01:01:10Z', '2026-06-01T02:00:00Z'), [[0, 0]])
  await it.goTo(Date.parse('2026-06-01T01:20:00Z'))
  assert.deepEqual(await it.traffic('5min', '2026-06-01T01:05:00Z', '2026-06-01T01:10:00Z'), [[null, null]])
})

test('what nothing measures is null, before its creation 0, and the future is left out', async (t) => {
  const it = await begin(t, '2026-06-02T00:00:00Z')
  await it.sample('2026-06-02T02:30:00Z', { cpuPercent: 5 })
  assert.deepEqual(await it.traffic('hour', '2026-06-01T23:00:00Z', '2026-06-02T09:00:00Z'), [
    [0, 0],
    [null, null],
    [null, null],
    [null, null],
  ])
  assert.deepEqual(await it.traffic('hour', '2027-01-01T00:00:00Z', '2027-01-02T00:00:00Z'), [])
})

test('spans without sense and too many values are refused', async (t) => {
  const it = await begin(t, '2026-06-02T00:00:00Z')
  const refused = (field: string) => (error: unknown) =>
    error instanceof CloudError && error.code === 'invalid' && error.details.issues?.[0]?.path[0] === field
  for (const [granularity, from, to, field] of [
    ['day', '2026-01-02T00:00:00Z', '2026-01-02T00:00:00Z', 'to'],
    ['day', '2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z', 'to'],
    ['day', '2026-01-02T00:00:00Z', 'nonsense', 'to'],
    ['day', 'nonsense', '2026-01-02T00:00:00Z', 'from'],
    ['day', '0001-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 'from'],
    ['5min', '2024-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 'granularity'],
    ['hour', '1970-01-01T00:00:00Z', '9999-01-02T00:00:00Z', 'granularity'],
  ] as const) {
    await assert.rejects(it.traffic(granularity, from, to), refused(field), `${granularity} ${from} ${to}`)
  }
  assert.deepEqual(await it.traffic('year', '2025-06-01T00:00:00Z', '9999-01-01T00:00:00Z'), [
    [0, 0],
    [null, null],
  ])
  const stranger = { ...it.ctx, caller: { ...it.ctx.caller, accountId: 'acct_x' } } as unknown as Ctx
  const query = { from: new Date(0), to: new Date(1), granularity: 'none' } as const
  await assert.rejects(metrics.traffic(stranger, it.id, query), (error: CloudError) => error.code === 'not_found')
})

const LEVELS = ['metric_5min', 'metric_hour', 'metric_day', 'metric_month', 'metric_5min_page', 'metric_hour_page']

test('rolling up again changes nothing, a late sample is put right, packing and pruning keep the sums', async (t) => {
  const it = await begin(t, '2026-01-30T00:00:00Z')
  const everything = async () =>
    Promise.all(
      LEVELS.map(
        async (table) =>
          (await sql`SELECT *, xmin::text FROM ${sql.table(table)} ORDER BY number, at`.execute(it.db)).rows,
      ),
    )
  const start = Date.parse('2026-01-30T12:00:00Z')
  let total = 0
  for (let index = 0; index < 200; index++) {
    total += 1 + (index % 7)
    await it.sample(start + index * 10 * MINUTE, { ...net('a', total, 2 * total), cpuPercent: index % 100 })
    await rollUp(it.db)
  }
  const end = start + 200 * 10 * MINUTE
  const before = await everything()
  await rollUp(it.db)
  await rollUp(it.db)
  assert.deepEqual(await everything(), before, 'the very same rows')

  // A slow writer: measured half an hour ago, recorded now, the newest of its instance.
  const late = await it.goTo(end + 30 * MINUTE)
  total += 11
  await rollUp(it.db)
  const sample = { ...UNMEASURED, ...net('a', total, 2 * total), instanceId: it.id }
  await stats.record(it.db, [{ ...sample, measuredAt: new Date(late.getTime() - 30 * MINUTE) }])
  await rollUp(it.db)
  const span = [new Date(start - HOUR).toISOString(), new Date(end + HOUR).toISOString()] as const
  const hour = await sql<{ total: number }>`SELECT max(network_in_bytes) AS total FROM metric_hour`.execute(it.db)
  assert.equal(hour.rows[0]!.total, total)

  const asked = async () => ({
    none: await it.traffic('none', ...span),
    fine: await it.traffic('5min', ...span),
    hours: await it.traffic('hour', ...span),
    days: await it.traffic('day', ...span),
    months: await it.traffic('month', ...span),
    unaligned: await it.traffic('none', '2026-01-30T13:17:21Z', '2026-01-31T08:44:59Z'),
    cpu: await metrics.series(it.ctx, it.id, {
      metric: 'cpuPercent',
      step: 'hour',
      from: new Date(start),
      to: new Date(end),
    }),
  })
  await it.goTo(Date.parse('2026-03-02T00:00:00Z'))
  await rollUp(it.db)
  const answers = await asked()
  assert.deepEqual(answers.none, [[total, 2 * total]])
  for (let round = 0; round < 4; round++) await pack(it.db, never)
  const [fine, hours, , , finePages, hourPages] = await everything()
  assert.deepEqual([fine!.length, hours!.length, finePages!.length, hourPages!.length], [0, 0, 2, 1])
  assert.deepEqual(await asked(), answers)
  await prune(it.db, { sampleHours: 1, fiveMinuteDays: 400, hourDays: 730 })
  assert.deepEqual(await asked(), answers)
  const { rows: left } = await sql`SELECT FROM metric_sample`.execute(it.db)
  assert.equal(left.length, 0)

  await it.goTo(Date.parse('2029-01-01T00:00:00Z'))
  await prune(it.db, { sampleHours: 1, fiveMinuteDays: 400, hourDays: 730 })
  const later = await asked()
  assert.deepEqual([later.none, later.days, later.months], [answers.none, answers.days, answers.months])
  assert.equal(
    later.fine.reduce((sum, [bytes]) => sum + (bytes ?? 0), 0),
    total,
  )
})

test('what a deleted instance moved stays, to be billed', async (t) => {
  const it = await begin(t, '2026-07-01T00:00:00Z')
  await it.sample('2026-07-01T10:00:00Z', net('a', 77))
  await rollUp(it.db)
  const { number } = await it.db.selectFrom('instance').select('number').executeTakeFirstOrThrow()
  await sql`UPDATE instance SET state = 'deleted', delete_requested_at = cloud_now()`.execute(it.db)
  await assert.rejects(it.traffic('none', '2026-07-01T00:00:00Z', '2026-07-02T00:00:00Z'))
  const { counterPoints } = await import('../store/metrics.ts')
  const points = await counterPoints(it.db, {
    number,
    counters: ['networkInBytes'],
    level: 'month',
    from: new Date('2026-07-01T00:00:00Z'),
    to: new Date('2026-08-01T00:00:00Z'),
  })
  assert.equal(points.at(-1)?.networkInBytes, 77)
})

test('curves: averages and peaks of what is, growth of what is counted, the samples themselves', async (t) => {
  const it = await begin(t, '2026-08-01T00:00:00Z')
  const start = Date.parse('2026-08-01T00:00:00Z')
  for (let index = 0; index < 60; index++) {
    await it.sample(start + index * 10_000, {
      run: 'a',
      cpuPercent: index < 30 ? 10.1 : 50.7,
      memoryUsedBytes: 1_000 + index,
      diskWriteOps: index * 3,
    })
  }
  await it.stopAt('2026-08-01T00:12:00Z')
  await rollUp(it.db)
  const span = { from: new Date(start), to: new Date(start + 15 * MINUTE) }
  await it.goTo(start + DAY)
  const cpu = await metrics.series(it.ctx, it.id, { metric: 'cpuPercent', step: '5min', ...span })
  assert.deepEqual(
    cpu.map(({ value, max }) => [value, max]),
    [
      [10.1, 10.1],
      [50.7, 50.7],
      [null, null],
    ],
  )
  const hour = await metrics.series(it.ctx, it.id, { metric: 'cpuPercent', step: 'hour', ...span })
  assert.deepEqual(hour, [{ from: span.from, to: span.to, value: 30.4, max: 50.7 }])
  const writes = await metrics.series(it.ctx, it.id, { metric: 'diskWriteOps', step: '5min', ...span })
  assert.deepEqual(
    writes.map(({ value }) => value),
    [29 * 3, 30 * 3, 0],
  )
  const raw = await metrics.series(it.ctx, it.id, { metric: 'cpuPercent', step: '10s', ...span })
  assert.deepEqual([raw[0]?.value, raw.at(-1)?.max], [10.1, 50.7], 'as measured, without digits of the storage')
  const memory = await metrics.series(it.ctx, it.id, { metric: 'memoryUsedBytes', step: '10s', ...span })
  assert.deepEqual([memory.length, memory[0]?.value, memory.at(-1)?.value], [60, 1_000, 1_059])
  const each = await metrics.series(it.ctx, it.id, { metric: 'diskWriteOps', step: '10s', ...span })
  assert.equal(
    each.reduce((sum, { value }) => sum + value!, 0),
    59 * 3,
  )
})

test('whatever runs twice, late, at once or not at all: every level adds up to what was seen', async (t) => {
  const it = await begin(t, '2026-09-29T20:00:00Z')
  const from = new Date('2026-09-29T00:00:00Z')
  let seed = 20_260_929
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  let time = Date.parse('2026-09-29T20:00:00Z')
  let run = 1
  let raw = 0
  let seenOfRun = 0
  let seen = 0
  let last: stats.Measured | null = null
  const look = async () => {
    const measuredAt = await it.goTo(time)
    last = {
      ...UNMEASURED,
      run: `${run}`,
      networkInBytes: raw,
      networkOutBytes: 3 * raw,
      instanceId: it.id,
      measuredAt,
    }
    seen += raw - seenOfRun
    seenOfRun = raw
    await stats.record(it.db, [last])
  }
  for (let turn = 0; turn < 400; turn++) {
    time += [1_000, 10_000, 10_000, 70_000, 400_000, 3_000_000][random(6)]!
    raw += random(100_000)
    const action = random(10)
    if (action < 5) await look()
    else if (action === 5) await it.goTo(time).then(() => Promise.all([rollUp(it.db), look(), rollUp(it.db)]))
    else if (action === 6 && last) await Promise.all([stats.record(it.db, [last]), rollUp(it.db)])
    else if (action === 7)
      [run, raw, seenOfRun] = [run + 1, 0, 0] // killed: what nobody saw is lost
    else if (action === 8) await pack(it.db, never)
    else await prune(it.db, { sampleHours: 1, fiveMinuteDays: 400, hourDays: 730 })
  }
  time += 1_000
  await it.goTo(time)
  const to = new Date(time)
  for (const rolled of [false, true]) {
    if (rolled) await rollUp(it.db)
    for (const granularity of ['none', '5min', 'hour', 'day', 'month', 'year'] as const) {
      const moved = await metrics.traffic(it.ctx, it.id, { granularity, from, to })
      const sum = (values: metrics.TrafficValue[]) => values.reduce((total, { bytes }) => total + (bytes ?? 0), 0)
      assert.deepEqual([sum(moved.in), sum(moved.out)], [seen, 3 * seen], granularity)
    }
    const hours = await metrics.traffic(it.ctx, it.id, { granularity: 'hour', from, to })
    const days = await metrics.traffic(it.ctx, it.id, { granularity: 'day', from, to })
    for (const day of days.in) {
      const within = hours.in.filter((hour) => hour.from >= day.from && hour.to <= day.to)
      assert.equal(
        within.reduce((total, { bytes }) => total + (bytes ?? 0), 0),
        day.bytes ?? 0,
        day.from.toISOString(),
      )
    }
  }
})
