/** The parts of bench/s3.ts that have no counterpart elsewhere: what moves no bytes, and pages of a very large bucket. */
import { sql } from 'kysely'
import { databaseUrl } from '../src/main/postgres.ts'
import { connect as connectDatabase } from '../src/store/db.ts'
import { element } from '../test/flows/s3/client.ts'
import { runS3Load } from './s3-load.ts'
import { ask, clientOf, head, MIB, sharedBytes } from './s3-requests.ts'
import type { HavnServer } from './s3-servers.ts'
import { printTable, round } from './tools.ts'

const PREFIXES = 1_000
const PART_BYTES = 5 * MIB // the least that S3 takes

/** What costs the same however large the object is, because no byte moves. */
export async function moves(havn: HavnServer, options: { parts: number }): Promise<void> {
  const client = clientOf(havn)
  await ask(client, 'PUT', '/bench/part', { body: Buffer.from(sharedBytes(PART_BYTES)) })
  const begun = await ask(client, 'POST', '/bench/joined', { query: [['uploads', '']] })
  const uploadId = element(begun.body, 'UploadId')!
  const parts: string[] = []
  for (let number = 1; number <= options.parts; number++) {
    const query = [['partNumber', String(number)] as const, ['uploadId', uploadId] as const]
    const { body } = await ask(client, 'PUT', '/bench/joined', {
      query,
      headers: { 'x-amz-copy-source': '/bench/part' },
    })
    parts.push(`<Part><PartNumber>${number}</PartNumber><ETag>${element(body, 'ETag')}</ETag></Part>`)
  }
  const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`)
  const completed = await timed(() => ask(client, 'POST', '/bench/joined', { query: [['uploadId', uploadId]], body }))
  const copied = await timed(() =>
    ask(client, 'PUT', '/bench/copied', { headers: { 'x-amz-copy-source': '/bench/joined' } }),
  )
  const gib = round((options.parts * PART_BYTES) / (1024 * MIB), 2)
  console.log(`Complete of ${options.parts} parts: ${round(completed)} ms (aim <= 100)`)
  console.log(`copy of ${gib} GiB in ${options.parts} parts: ${round(copied)} ms (aim <= 100)`)
  client.close()
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

export async function listings(
  havn: HavnServer,
  options: { keys: number; connections: number; seconds: number },
): Promise<void> {
  const client = clientOf(havn)
  await ask(client, 'PUT', '/bench-list')
  client.close()
  await plantKeys(havn, options.keys)
  const perPrefix = options.keys / PREFIXES
  const middle = `p${String(Math.floor(PREFIXES / 2)).padStart(4, '0')}/`
  const lists = {
    [`LIST 1000 of ${options.keys}`]: `/bench-list?list-type=2&start-after=${middle}`,
    [`LIST ${PREFIXES} prefixes of ${perPrefix} keys`]: '/bench-list?list-type=2&delimiter=%2F',
  }
  const rows: (string | number)[][] = []
  for (const [name, path] of Object.entries(lists)) {
    const load = { host: havn.host, port: havn.port, heads: [head(havn, 'GET', path)], body: null }
    const alone = await runS3Load({ ...load, connections: 1, seconds: options.seconds })
    const together = await runS3Load({ ...load, connections: options.connections, seconds: options.seconds })
    rows.push([
      name,
      round(alone.p50Ms),
      round(alone.p95Ms),
      round(together.perSecond, 0),
      alone.errors + together.errors,
      Math.round(alone.bytes / Math.max(1, alone.requests)),
    ])
  }
  printTable(
    ['listings (aim: p50 <= 20 ms)', 'p50 ms', 'p95 ms', `/s at ${options.connections}`, 'errors', 'bytes'],
    rows,
  )
}

/** As a million PUTs would leave them, in seconds. */
async function plantKeys({ havn }: HavnServer, keys: number): Promise<void> {
  const db = connectDatabase(databaseUrl(havn.config, havn.paths))
  const perPrefix = Math.max(1, Math.ceil(keys / PREFIXES))
  await sql`
    INSERT INTO object_version (bucket_number, key, seq, version_id, is_latest, size_bytes, etag, modified_at, account_id)
    SELECT b.number, 'p' || lpad((n / ${perPrefix})::text, 4, '0') || '/' || lpad((n % ${perPrefix})::text, 6, '0') || '.bin',
      nextval('object_seq'), 'null', true, 4096, md5(n::text), cloud_now(), b.account_id
    FROM bucket b, generate_series(0::bigint, ${keys - 1}::bigint) n WHERE b.name = 'bench-list'`.execute(db)
  await sql`VACUUM ANALYZE object_version`.execute(db)
  await db.destroy()
}
