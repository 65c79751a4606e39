/**
 * Object storage as `./havn up` runs it, every write synced, beside nginx that serves and takes the same files from the
 * same disk without asking who, hashing or syncing, and beside s3rver where it is installed. In turns, the best round of
 * each; signatures are made beforehand.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LoadResult } from './load.ts'
import { listings, moves } from './s3-at-once.ts'
import { runS3Load } from './s3-load.ts'
import { ask, clientOf, hashed, head, KIB, MIB, plain, sharedBytes, trailing } from './s3-requests.ts'
import { type Server, startHavn, startNginx, startS3rver } from './s3-servers.ts'
import { bench, memoryMib, printRatio, printTable, readOptions, round } from './tools.ts'

const options = readOptions({
  seconds: 3,
  rounds: 3,
  warm: 10, // seconds of 4 KiB requests that nobody measures
  connections: 16,
  small: 500, // objects of 4 KiB that are read in turn
  medium: 10, // MiB
  large: 100, // MiB
  keys: 1_000_000, // in the bucket that is listed, under 1,000 prefixes
  parts: 1_000,
})
const SMALL_BYTES = 4 * KIB
const PUT_KEYS = 5_000
const LARGE_CONNECTIONS = 4

interface Case {
  name: string
  /** Of every request. */
  bytes: number
  connections: number
  servers: readonly Server[]
  load(server: Server): { heads: string[]; body: Uint8Array<SharedArrayBuffer> | null }
}

await bench(async (scope) => {
  const havn = await startHavn(scope)
  const nginx = await startNginx(scope)
  const s3rver = await startS3rver(scope)
  if (!nginx) console.log('nginx is not installed (apt-get install nginx-light): no ratio to it')
  if (!s3rver) console.log('s3rver is not on the PATH (npm install --global s3rver): no ratio to it')
  const both = [havn, ...(nginx ? [nginx] : [])]
  const all = [...both, ...(s3rver ? [s3rver] : [])]
  for (const server of all) await fill(server, server === nginx ? nginx.folder : null)

  const smallPaths = Array.from({ length: options.small }, (_, index) => `/bench/small/${index}`)
  const putPaths = Array.from({ length: PUT_KEYS }, (_, index) => `/bench/put/${index}`)
  const smallBody = sharedBytes(SMALL_BYTES)
  const largeBody = sharedBytes(options.large * MIB)
  const largePaths = Array.from({ length: LARGE_CONNECTIONS }, (_, index) => `/bench/put-large/${index}`)
  const many = { connections: options.connections, bytes: SMALL_BYTES }
  const few = { connections: LARGE_CONNECTIONS, bytes: options.large * MIB }
  const get = (server: Server, paths: readonly string[]) => ({
    heads: paths.map((path) => head(server, 'GET', path)),
    body: null,
  })
  const cases: Case[] = [
    { name: 'GET 4 KiB', ...many, servers: all, load: (server) => get(server, smallPaths) },
    {
      name: `GET ${options.medium} MiB`,
      ...few,
      bytes: options.medium * MIB,
      servers: both,
      load: (server) => get(server, ['/bench/medium']),
    },
    { name: `GET ${options.large} MiB`, ...few, servers: both, load: (server) => get(server, ['/bench/large']) },
    {
      name: 'PUT 4 KiB',
      ...many,
      servers: all,
      load: (server) => ({
        heads: putPaths.map((path) => head(server, 'PUT', path, hashed(smallBody))),
        body: smallBody,
      }),
    },
    {
      name: `PUT ${options.large} MiB`,
      ...few,
      servers: both,
      load: (server) => ({
        heads: largePaths.map((path) => head(server, 'PUT', path, plain(largeBody))),
        body: largeBody,
      }),
    },
    {
      name: `PUT ${options.large} MiB, CRC32 trailer`,
      ...few,
      servers: [havn],
      load: (server) => trailing(server, largePaths, largeBody),
    },
    {
      name: `PUT ${options.large} MiB, SHA-256`,
      ...few,
      servers: [havn],
      load: (server) => ({
        heads: largePaths.map((path) => head(server, 'PUT', path, hashed(largeBody))),
        body: largeBody,
      }),
    },
  ]
  const results = new Map<string, Map<string, LoadResult>>()
  const rows: (string | number)[][] = []
  let peakMib = 0
  for (const one of cases) {
    const best = await inTurns(one)
    results.set(one.name, best)
    for (const [name, result] of best) {
      const mibPerSecond = (result.perSecond * one.bytes) / MIB
      rows.push([
        `${one.name}, ${name}`,
        round(result.perSecond, result.perSecond < 100 ? 1 : 0),
        round(mibPerSecond, 0),
        round(result.p50Ms),
        round(result.p95Ms),
        result.errors,
      ])
    }
    peakMib = Math.max(peakMib, ...havn.pids().map(memoryMib))
  }
  printTable(
    [`${options.connections} and ${LARGE_CONNECTIONS} connections`, '/s', 'MiB/s', 'p50 ms', 'p95 ms', 'errors'],
    rows,
  )
  const ratio = (name: string, other: Server | null, aim: string) => {
    const ours = results.get(name)?.get(havn.name)
    const theirs = other && results.get(name)?.get(other.name)
    if (ours && other && theirs) printRatio(`${name}, Havn / ${other.name}`, ours.perSecond, theirs.perSecond, aim)
  }
  ratio('GET 4 KiB', nginx, '>= 0.15')
  ratio('GET 4 KiB', s3rver, '>= 3')
  ratio(`GET ${options.medium} MiB`, nginx, '>= 0.6')
  ratio(`GET ${options.large} MiB`, nginx, '>= 0.6')
  ratio(`PUT ${options.large} MiB`, nginx, '>= 0.6')
  console.log(`durable PUT 4 KiB: ${round(results.get('PUT 4 KiB')!.get(havn.name)!.perSecond, 0)}/s (aim >= 2000)`)
  console.log(`memory of the largest S3 process: ${round(peakMib, 0)} MiB`)

  await moves(havn, options)
  await listings(havn, options)
})

/** The best round of each; a neighbour on the machine that spoils one round spoils no figure. */
async function inTurns({ servers, bytes, connections, load }: Case): Promise<Map<string, LoadResult>> {
  const best = new Map<string, LoadResult>()
  const [{ host, port }] = servers as [Server]
  // Ours comes first. Until the code that runs is the compiled code; small requests are nothing but code.
  if (bytes === SMALL_BYTES) await runS3Load({ host, port, connections, seconds: options.warm, ...load(servers[0]!) })
  for (let turn = 0; turn < options.rounds; turn++) {
    for (const server of servers) {
      const { host, port } = server
      const result = await runS3Load({ host, port, connections, seconds: options.seconds, ...load(server) })
      const before = best.get(server.name)
      if (!before || result.perSecond > before.perSecond) best.set(server.name, result)
    }
  }
  return best
}

async function fill(server: Server, folder: string | null): Promise<void> {
  const objects: [string, Uint8Array][] = [
    ...Array.from({ length: options.small }, (_, index): [string, Uint8Array] => [
      `small/${index}`,
      sharedBytes(SMALL_BYTES),
    ]),
    ['medium', sharedBytes(options.medium * MIB)],
    ['large', sharedBytes(options.large * MIB)],
  ]
  const client = clientOf(server)
  if (server.keys) await ask(client, 'PUT', '/bench')
  if (folder) await mkdir(join(folder, 'bench/small'), { recursive: true })
  for (const [key, bytes] of objects) {
    if (folder) await writeFile(join(folder, 'bench', key), bytes)
    else if (server.name !== 's3rver' || key.startsWith('small/'))
      await ask(client, 'PUT', `/bench/${key}`, { body: Buffer.from(bytes) })
  }
  client.close()
}
