/**
 * Clients at work on servers that are killed under them, again and again; then everything that was acknowledged is
 * compared byte for byte, and every row and file is accounted for.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { randomFrom } from '../../bytes.ts'
import { auditStore } from './audit.ts'
import { type BareClient, createBareClient, element, elements } from './client.ts'
import { createLedger } from './ledger.ts'
import { assertAllowed, type Place, pathOf, type Version, type Workload, work } from './workload.ts'
import type { S3World } from './world.ts'

export interface CrashRun {
  world: S3World
  seed: number
  clients: number
  /** Kills go on for so long; there are two at least. */
  seconds: number
  /** Acknowledged writes between two kills, on average. */
  writesPerKill: number
  /** Kills something and returns when all of it serves again; `random` decides what. */
  strike(random: () => number): Promise<void>
  say(line: string): void
}

export interface CrashReport {
  acknowledged: number
  unknown: number
  /** Answers of 500 and above, which are the client's word for "I do not know". */
  failures: string[]
  comparedObjects: number
  comparedVersions: number
  blobs: number
}

const PLACES: readonly Place[] = [
  { bucket: 'crash-plain', isVersioned: false },
  { bucket: 'crash-versioned', isVersioned: true },
]

export async function crashRun(run: CrashRun): Promise<CrashReport> {
  const { world, seed, say } = run
  const random = randomFrom(seed)
  const ledger = createLedger()
  const versions = new Map<string, Version>()
  const failures: string[] = []
  const over = new AbortController()
  let acknowledged = 0
  await makePlaces(clientOf(world, 0))

  const workloads = Array.from({ length: run.clients }, (_, index): Workload => {
    return {
      client: clientOf(world, index),
      places: PLACES,
      ledger,
      versions,
      name: `c${index}`,
      random: randomFrom(seed + 1 + index),
      acknowledged: () => void acknowledged++,
      failed: (what, { status, code }) => void failures.push(`${what}: ${status} ${code}`),
    }
  })
  const working = workloads.map((workload) => work(workload, over.signal))
  // A finding of one client ends the run at once; the others' are not lost either.
  const finding = Promise.all(working).then(() => null)
  finding.catch(() => over.abort())
  const end = performance.now() + run.seconds * 1_000
  let kills = 0
  try {
    for (; kills < 2 || performance.now() < end; kills++) {
      const until = acknowledged + run.writesPerKill * (0.5 + random())
      while (acknowledged < until && !over.signal.aborted) await delay(1)
      await delay(random() * 10)
      if (over.signal.aborted) break
      await run.strike(random)
      ledger.settle()
    }
    const until = acknowledged + run.writesPerKill
    while (acknowledged < until && !over.signal.aborted) await delay(1)
  } finally {
    over.abort()
  }
  await finding
  say(`${acknowledged} writes acknowledged, ${ledger.counts.unknown} cut off by ${kills} kills`)
  ledger.settle()

  const client = clientOf(world, 0)
  const report = {
    acknowledged,
    unknown: ledger.counts.unknown,
    failures,
    comparedObjects: await compareObjects(client, ledger),
    comparedVersions: await compareVersions(client, versions),
    blobs: 0,
  }
  for (const { bucket } of PLACES) await abortUploads(client, bucket)
  await Promise.all(world.servers.map((server) => server.kill()))
  report.blobs = (await auditStore(world.context)).blobs
  say(`${report.comparedObjects} keys, ${report.comparedVersions} versions compared; ${report.blobs} blobs, no orphan`)
  for (const { client: one } of workloads) one.close()
  client.close()
  return report
}

const clientOf = ({ servers, keys }: S3World, index: number): BareClient =>
  createBareClient(servers[index % servers.length]!.url, keys)

async function makePlaces(client: BareClient): Promise<void> {
  for (const { bucket, isVersioned } of PLACES) {
    assert.equal((await client.call('PUT', `/${bucket}`)).status, 200)
    if (!isVersioned) continue
    const body = Buffer.from('<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>')
    assert.equal((await client.call('PUT', `/${bucket}`, { query: [['versioning', '']], body })).status, 200)
  }
  client.close()
}

/** Every key that was ever written, and no other, is what the ledger allows: by GET, and in the listing. */
async function compareObjects(client: BareClient, ledger: ReturnType<typeof createLedger>): Promise<number> {
  const present = new Set<string>()
  for (const path of ledger.keys()) {
    const answer = await client.call('GET', path)
    assertAllowed(answer, path, ledger.allowed(path))
    if (answer.status === 404) continue
    present.add(path)
    const etag = String(answer.headers.etag)
    // An object of several parts has another kind of ETag.
    if (!etag.includes('-')) assert.equal(etag, `"${createHash('md5').update(answer.body).digest('hex')}"`, path)
  }
  const listed = new Set<string>()
  for (const place of PLACES) {
    for (const key of await listKeys(client, place.bucket)) listed.add(pathOf(place, key))
  }
  assert.deepEqual(listed, present, 'what is listed is what can be read')
  return ledger.keys().length
}

async function listKeys(client: BareClient, bucket: string): Promise<string[]> {
  const keys: string[] = []
  for (let token: string | undefined; ; ) {
    const page = token === undefined ? [] : [['continuation-token', token] as const]
    const { status, body } = await client.call('GET', `/${bucket}`, { query: [['list-type', '2'], ...page] })
    assert.equal(status, 200, String(body))
    keys.push(...elements(body, 'Key'))
    token = element(body, 'NextContinuationToken')
    if (token === undefined) return keys
  }
}

async function compareVersions(client: BareClient, versions: ReadonlyMap<string, Version>): Promise<number> {
  for (const { content, id, key, ...place } of versions.values()) {
    const path = pathOf(place, key)
    const answer = await client.call('GET', path, { query: [['versionId', id]] })
    if (content === null) assert.equal(answer.status, 405, `${path} ${id} is a delete marker`)
    else assertAllowed(answer, `${path} ${id}`, [content])
  }
  return versions.size
}

/** Uploads that a kill interrupted: to be seen, and to be cleared away by their owner. */
async function abortUploads(client: BareClient, bucket: string): Promise<void> {
  const { body } = await client.call('GET', `/${bucket}`, { query: [['uploads', '']] })
  for (const upload of elements(body, 'Upload')) {
    const query = [['uploadId', element(upload, 'UploadId')!] as const]
    const { status } = await client.call('DELETE', `/${bucket}/${element(upload, 'Key')}`, { query })
    assert.equal(status, 204)
  }
}
