import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { testDatabase } from '../../test/database.ts'
import type { Db } from './db.ts'
import * as listing from './object-listing.ts'

let db: Db
const cleanups: (() => Promise<void>)[] = []
before(async () => {
  db = (await testDatabase({ after: (fn) => void cleanups.push(fn) })).db
})
after(async () => {
  for (const fn of cleanups) await fn()
})

// Characters whose order differs between UTF-8 and UTF-16, both neighbours of the surrogates, the last one of all, the
// first that is no NUL, and a few that make common prefixes likely.
const LETTERS = ['a', 'b', '/', '/', 'é', '\u0001', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}', '-']

/** A generator that gives the same numbers on every run of a seed (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

const text = (pick: (below: number) => number, min: number, max: number) =>
  Array.from({ length: min + pick(max - min + 1) }, () => LETTERS[pick(LETTERS.length)]).join('')

interface Row {
  key: string
  seq: number
  versionId: string
  isLatest: boolean
  isDeleteMarker: boolean
}

const byteOrder = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const versionIdOf = (seq: number) => `${seq.toString(16).padStart(12, '0')}${'0'.repeat(20)}`

/** Keys with one to four versions; the newest may be a delete marker; the oldest may be the null version. */
function rowsOf(pick: (below: number) => number, count: number): Row[] {
  const keys = new Set(Array.from({ length: count }, () => text(pick, 1, 6)))
  let seq = 0
  const rows = [...keys].flatMap((key) => {
    const versions = 1 + pick(4)
    const hasNull = pick(2) === 0
    return Array.from({ length: versions }, (_, index): Row => {
      seq++
      const isLatest = index === versions - 1
      const versionId = hasNull && index === 0 ? 'null' : versionIdOf(seq)
      return { key, seq, versionId, isLatest, isDeleteMarker: isLatest && pick(4) === 0 }
    })
  })
  return rows.sort((a, b) => byteOrder(a.key, b.key) || b.seq - a.seq)
}

async function insert(bucketNumber: number, rows: readonly Row[]): Promise<void> {
  await db
    .insertInto('object_version')
    .values(
      rows.map((row) => ({
        bucket_number: bucketNumber,
        key: row.key,
        seq: row.seq,
        version_id: row.versionId,
        is_latest: row.isLatest,
        is_delete_marker: row.isDeleteMarker,
        size_bytes: 0,
        etag: '',
        modified_at: new Date(),
        account_id: 'acct_test' as const,
      })),
    )
    .execute()
}

/** The naive listing: every row that fits, folded, each common prefix once. */
function model(rows: readonly Row[], prefix: string, delimiter: string | null): string[] {
  const lines = rows
    .filter(({ key }) => key.startsWith(prefix))
    .map(({ key, versionId }) => fold(key, prefix, delimiter) ?? `${key} ${versionId}`)
  return lines.filter((line, index) => line !== lines[index - 1])
}

function fold(key: string, prefix: string, delimiter: string | null): string | null {
  const at = delimiter === null ? -1 : key.indexOf(delimiter, prefix.length)
  return at === -1 ? null : `${key.slice(0, at + (delimiter as string).length)}…`
}

const show = (entry: listing.Entry<listing.ListedVersion>) =>
  entry.row === null ? `${entry.commonPrefix}…` : `${entry.row.key} ${entry.row.versionId}`

test('pages of objects and of versions, put together, are what a naive listing gives', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const pick = random(seed)
    const rows = rowsOf(pick, 1 + pick(80))
    await insert(seed, rows)
    for (let round = 0; round < 6; round++) {
      const prefix = pick(2) === 0 ? '' : text(pick, 1, 2)
      const delimiter = pick(4) === 0 ? null : text(pick, 1, 2)
      const entriesMax = 1 + pick(7)
      const wish = { bucketNumber: seed, prefix, delimiter, entriesMax }
      const about = JSON.stringify({ seed, prefix, delimiter, entriesMax })

      const current = rows.filter((row) => row.isLatest && !row.isDeleteMarker)
      const listed: string[] = []
      for (let afterKey: string | null = null; ; ) {
        const page: listing.Entry<listing.ListedVersion>[] = await listing.objects(db, { ...wish, afterKey })
        listed.push(...page.map(show))
        if (page.length < entriesMax) break
        const last = page.at(-1) as (typeof page)[number]
        afterKey = last.commonPrefix ?? last.row.key
      }
      assert.deepEqual(listed, model(current, prefix, delimiter), about)

      const listedVersions: string[] = []
      for (let afterKey: string | null = null, afterVersionId: string | null = null; ; ) {
        const page: listing.Entry<listing.ListedVersion>[] = await listing.versions(db, {
          ...wish,
          afterKey,
          afterVersionId,
        })
        listedVersions.push(...page.map(show))
        if (page.length < entriesMax) break
        const last = page.at(-1) as (typeof page)[number]
        afterKey = last.commonPrefix ?? last.row.key
        afterVersionId = last.row?.versionId ?? null
      }
      assert.deepEqual(listedVersions, model(rows, prefix, delimiter), about)

      // From anywhere: a key that may exist or not, and the rest of a common prefix that it lies in is gone.
      const marker = pick(2) === 0 ? text(pick, 1, 6) : (rows[pick(rows.length)] as Row).key
      const folded = marker.startsWith(prefix) ? fold(marker, prefix, delimiter) : null
      const behind = current.filter(
        ({ key }) => byteOrder(key, marker) > 0 && (folded === null || fold(key, prefix, delimiter) !== folded),
      )
      const page = await listing.objects(db, { ...wish, afterKey: marker })
      assert.deepEqual(
        page.map(show),
        model(behind, prefix, delimiter).slice(0, entriesMax),
        `${about} after ${marker}`,
      )
    }
  }
})

test('a version that is gone still marks its place', async () => {
  const rows = [1, 2, 3, 4].map((seq) => ({
    key: 'k',
    seq,
    versionId: versionIdOf(seq),
    isLatest: seq === 4,
    isDeleteMarker: false,
  }))
  await insert(1001, rows)
  await sql`DELETE FROM object_version WHERE bucket_number = 1001 AND seq = 3`.execute(db)
  const page = await listing.versions(db, {
    bucketNumber: 1001,
    prefix: '',
    delimiter: null,
    afterKey: 'k',
    afterVersionId: versionIdOf(3),
    entriesMax: 10,
  })
  assert.deepEqual(page.map(show), [`k ${versionIdOf(2)}`, `k ${versionIdOf(1)}`])
})

test('uploads are listed by key, then by start, from behind a marker', async () => {
  const ids = ['0001a', '0002b', '0003c', '0001d'] as const
  const keys = ['a', 'a', 'a', 'b/c'] as const
  for (const [index, id] of ids.entries()) {
    await sql`INSERT INTO multipart_upload (id, bucket_number, key, account_id, properties)
      VALUES (${id}, 1002, ${keys[index]}, 'acct_test', '{"storageClass":"STANDARD"}')`.execute(db)
  }
  const wish = { bucketNumber: 1002, prefix: '', delimiter: '/', entriesMax: 10 }
  const all = await listing.uploads(db, { ...wish, afterKey: null, afterUploadId: null })
  assert.deepEqual(
    all.map(({ commonPrefix, row }) => commonPrefix ?? row.id),
    ['0001a', '0002b', '0003c', 'b/'],
  )
  const rest = await listing.uploads(db, { ...wish, afterKey: 'a', afterUploadId: '0002a-gone' })
  assert.deepEqual(
    rest.map(({ commonPrefix, row }) => commonPrefix ?? row.id),
    ['0002b', '0003c', 'b/'],
  )
  const behind = await listing.uploads(db, { ...wish, afterKey: 'a', afterUploadId: null })
  assert.deepEqual(
    behind.map(({ commonPrefix }) => commonPrefix),
    ['b/'],
  )
})

test('a page reads about as many rows as it shows, whatever lies between them', async () => {
  await sql`INSERT INTO object_version (bucket_number, key, seq, version_id, is_latest, size_bytes, etag, modified_at, account_id)
    SELECT 1003, 'd' || lpad((i / 200)::text, 4, '0') || '/' || i, i, 'null', true, 0, '', now(), 'acct_test'
    FROM generate_series(0, 19999) i`.execute(db)
  await sql`ANALYZE object_version`.execute(db)
  const { rows } = await sql<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>`
    EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM list_objects(1003, '', '/', NULL, 50)`.execute(db)
  const { Plan: plan } = (rows[0] as (typeof rows)[number])['QUERY PLAN'][0]
  assert.equal(plan['Actual Rows'], 50)
  const pages = (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0)
  assert.ok(pages < 50 * 8, `${pages} pages read for 50 prefixes of 200 keys each`)
})
