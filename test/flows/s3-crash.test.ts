/**
 * Nothing acknowledged is lost, whatever dies: S3 servers killed inside thousands of writes, and the database killed
 * under them. `HAVN_TEST_S3_SECONDS=600 node --test test/flows/s3-crash.test.ts` is the long run; HAVN_TEST_SEED repeats
 * a choice of moments, as far as processes can be repeated.
 */
import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { startPostgres } from '../../src/main/postgres.ts'
import { crashRun } from './s3/crash-run.ts'
import { openS3World } from './s3/world.ts'

const SECONDS = Number(process.env.HAVN_TEST_S3_SECONDS ?? 12)
const SEED = Number(process.env.HAVN_TEST_SEED ?? Date.now() % 1_000_000)

describe('what was acknowledged survives kill -9', () => {
  test('of the S3 servers', async (t) => {
    const world = await openS3World(t, { servers: 2 })
    const report = await crashRun({
      world,
      seed: SEED,
      clients: 8,
      seconds: SECONDS,
      writesPerKill: 100,
      async strike(random) {
        const [first, second] = random() < 0.5 ? world.servers : world.servers.toReversed()
        const victims = random() < 0.3 ? [first!, second!] : [first!]
        await Promise.all(victims.map((server) => server.kill()))
        await Promise.all(victims.map((server) => server.start()))
      },
      say: (line) => t.diagnostic(`seed ${SEED}: ${line}`),
    })
    assert.deepEqual(report.failures, [], 'a server that lives answers')
    assert.ok(report.unknown > 0, 'a kill cut nobody off')
  })

  test('of PostgreSQL', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'hv-pg-'))
    await chmod(folder, 0o711)
    t.after(() => rm(folder, { recursive: true, force: true }))
    const place = { data: join(folder, 'data'), sockets: join(folder, 'run'), log: join(folder, 'postgres.log') }
    let server = await startPostgres(place)
    t.after(() => server.stop())
    const world = await openS3World(t, { servers: 2, databaseUrl: server.url })
    await crashRun({
      world,
      seed: SEED,
      clients: 8,
      seconds: SECONDS / 3,
      writesPerKill: 100,
      async strike() {
        process.kill(server.process.pid, 'SIGKILL')
        await server.ended
        server = await startPostgres(place)
      },
      say: (line) => t.diagnostic(`seed ${SEED}: ${line}`),
    })
  })
})
