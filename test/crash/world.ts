/**
 * A cloud for the crash tests: database, services, engine and simulator in one process, where the worker can die at
 * any crash point and be started anew like after SIGKILL, and where time jumps to whatever is due next. At the end of
 * a story the audit compares what is outside the database with what the rows own.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import type { ComputeDriver } from '../../src/drivers/compute/compute.ts'
import { createSimulator, type Simulator } from '../../src/drivers/compute/simulator.ts'
import { runPolicies } from '../../src/jobs/backup/run-policies.ts'
import { DEFINITIONS } from '../../src/jobs/definitions.ts'
import { createEngine, type Engine } from '../../src/jobs/engine/engine.ts'
import { Crash, type CrashPoint } from '../../src/jobs/engine/step.ts'
import { reconcileInstances } from '../../src/jobs/instance/reconcile.ts'
import type { WorkerTools } from '../../src/jobs/tools.ts'
import { CloudError } from '../../src/model/errors.ts'
import { type HostId, type InstanceId, newId } from '../../src/model/ids.ts'
import { SCOPES } from '../../src/model/scopes.ts'
import type { Ctx } from '../../src/services/ctx.ts'
import * as accounts from '../../src/store/accounts.ts'
import * as addresses from '../../src/store/addresses.ts'
import * as chunks from '../../src/store/backup-chunks.ts'
import * as catalog from '../../src/store/catalog.ts'
import { type Db, execute, now } from '../../src/store/db.ts'
import * as hosts from '../../src/store/hosts.ts'
import * as images from '../../src/store/images.ts'
import { CATALOG } from '../make.ts'
import { type ScriptedTasks, scriptTasks } from './tasks.ts'

/** A driver error strikes the first, second or third verb that the step calls, before or after its effect. */
export type Fault = `crash ${CrashPoint}` | 'twice' | `driver error ${'before' | 'after'} verb ${number}`
export const FAULTS: readonly Fault[] = [
  'crash before',
  'crash after',
  'crash committed',
  'twice',
  ...[1, 2, 3].flatMap((verb) => [`driver error before verb ${verb}`, `driver error after verb ${verb}`] as const),
]

const POOLS = [
  { family: 4 as const, cidr: '198.18.0.0/24', regionId: null },
  { family: 6 as const, cidr: '2001:db8::/120', regionId: null },
]

const NO_FILES = { list: async () => [], remove: async () => {}, removeUpload: async () => {} }

export interface World {
  ctx: Ctx
  db: Db
  simulator: Simulator
  tasks: ScriptedTasks
  hostId: HostId
  /** Steps that ran since the beginning of the story, in order. */
  visited: string[]
  /** Arms one fault at the first run of a step. */
  inject(step: string, fault: Fault): void
  /** Whether the armed fault has happened. */
  hasHappened(): boolean
  /** Waits, over crashes and restarts of the worker, until the condition holds. */
  until(what: string, condition: () => Promise<boolean>): Promise<void>
  restart(): Promise<void>
  reconcile(): Promise<void>
  runPolicies(): Promise<void>
  /** Moves the clock on, when nothing runs. */
  advance(ms: number): Promise<void>
  audit(): Promise<void>
  close(): Promise<void>
}

export async function createWorld(db: Db): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'havn-crash-'))
  await catalog.sync(db, CATALOG)
  await images.makeAllAvailable(db)
  await addresses.syncPools(db, POOLS)
  const account = await accounts.insert(db, {
    email: `${newId('account')}@example.net`,
    name: 'Crash test',
    isOperator: true,
    creditMinor: null,
    consolePasswordHash: '',
  })
  const hostId = newId('host')
  await hosts.report(db, {
    id: hostId,
    name: folder,
    regionId: 'here',
    driver: 'qemu', // with image files, which the scripted tasks make
    vcpus: null,
    memoryMib: null,
    diskBytes: null,
    diskFreeBytes: null,
    diskHighWater: 1,
    bootSlots: null,
    facts: {},
  })

  const tasks = scriptTasks()
  let armed: { step: string; fault: Fault } | null = null
  let happened = false
  let current = ''
  let verbs = 0
  const visited: string[] = []
  let simulator = openSimulator()
  let engine: Engine = newEngine()
  let crashes = 0

  function openSimulator(): Simulator {
    return createSimulator({ folder, bootMs: 3, shutdownMs: 3 })
  }
  function take(step: string, fault: Fault): boolean {
    if (armed?.step !== step || armed.fault !== fault) return false
    armed = null
    happened = true
    return true
  }

  function newEngine(): Engine {
    const tools: WorkerTools = {
      compute: failing(simulator),
      tasks,
      backups: tasks.backups,
      images: NO_FILES,
      hosts: [hostId],
      bootSlots: () => null,
      now,
      settings: { shutdownSeconds: 20, quarantineMinutes: 10, forwardsSsh: false },
    }
    return createEngine<WorkerTools>({
      db,
      worker: folder,
      hosts: [hostId],
      definitions: DEFINITIONS,
      tools,
      log: () => {},
      pollMs: 5,
      faults: {
        crash(_kind, step, point) {
          if (point === 'before') {
            current = step
            verbs = 0
            visited.push(step)
          }
          if (take(step, `crash ${point}`)) throw new Crash(`${step} ${point}`)
        },
        runsTwice: (_kind, step) => take(step, 'twice'),
      },
    })
  }

  /** The driver with the armed error in one of the verbs that the step calls. */
  function failing(driver: Simulator): ComputeDriver {
    return new Proxy(driver as ComputeDriver, {
      get(target, name, receiver) {
        const value = Reflect.get(target, name, receiver) as unknown
        if (typeof value !== 'function' || name === 'onChange') return value
        return async (...args: unknown[]) => {
          const verb = ++verbs
          if (take(current, `driver error before verb ${verb}`))
            throw new CloudError('unavailable', `${String(name)} failed before`)
          const result: unknown = await (value as (...a: unknown[]) => unknown).apply(target, args)
          if (take(current, `driver error after verb ${verb}`))
            throw new CloudError('unavailable', `${String(name)} failed after`)
          return result
        }
      },
    })
  }

  /** As SIGKILL and a new start: the old engine writes nothing more, and the machines are found again. */
  async function restart(): Promise<void> {
    await engine.stop()
    await simulator.close()
    simulator = openSimulator()
    await simulator.open()
    world.simulator = simulator
    engine = newEngine()
    watch()
    await engine.start()
    await world.reconcile()
  }
  function watch(): void {
    void engine.crashed.then(async () => {
      crashes++
      await restart()
      crashes--
    })
  }

  const world: World = {
    db,
    simulator,
    tasks,
    hostId,
    visited,
    ctx: {
      db,
      caller: { accountId: account.id, apiKeyId: null, scopes: new Set(SCOPES) },
      reach: 'account',
      requestId: 'crash-test',
      settings: {
        version: '0',
        compute: 'qemu',
        recoverHours: 12,
        receiptDays: 30,
        ownSshKey: null,
        masterKey: Buffer.alloc(32),
        apiUrl: '',
        s3Url: '',
        s3Region: 'eu-north-1',
        dnsAddress: '',
        rsync: null,
        uploadsFolder: folder,
      },
      compute: simulator,
    },
    inject(step, fault) {
      armed = { step, fault }
      happened = false
    },
    hasHappened: () => happened,
    async until(what, condition) {
      const limit = Date.now() + 20_000
      for (;;) {
        engine.nudge(true)
        if (crashes === 0 && (await condition())) return
        if (Date.now() > limit) {
          const rows = await db.selectFrom('strand').selectAll().execute()
          assert.fail(`${what}: not within 20 s; ${visited.slice(-8).join(' → ')}; ${JSON.stringify(rows)}`)
        }
        await sleep(3)
        await jump(db)
      }
    },
    restart,
    async reconcile() {
      await reconcileInstances.run(
        {
          db,
          compute: simulator,
          images: NO_FILES,
          hosts: [hostId],
          orphans: new Set(),
          slowSamples: new Map(),
          metrics: { sampleHours: 2, fiveMinuteDays: 400, hourDays: 730 },
          reportHosts: async () => {},
        },
        new AbortController().signal,
      )
    },
    runPolicies: () => runPolicies.run({ db }, new AbortController().signal),
    async advance(ms) {
      await world.until('nothing runs', async () => {
        const { rows } = await sql`UPDATE clock SET time_offset = time_offset + ${ms} * interval '1 ms'
          WHERE NOT EXISTS (SELECT FROM strand WHERE leased_by IS NOT NULL) RETURNING 1`.execute(db)
        return rows.length > 0
      })
    },
    async audit() {
      await sweep(db)
      await auditLeaks(db, simulator, hostId)
      assert.deepEqual(tasks.left(), [], 'tasks left over')
    },
    async close() {
      await engine.stop()
      await simulator.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
  await simulator.open()
  watch()
  await engine.start()
  return world
}

/** Nobody waits for a nap in a test: the clock moves on to the next one, when nothing runs. */
async function jump(db: Db): Promise<void> {
  await execute(
    db,
    `UPDATE clock SET time_offset = time_offset + ms.wait FROM (
       SELECT min(wake_at) - cloud_now() AS wait FROM strand
       HAVING min(wake_at) > cloud_now() AND min(wake_at) < cloud_now() + interval '2 minutes'
         AND count(*) FILTER (WHERE leased_by IS NOT NULL) = 0) AS ms`,
  )
  // The host's sign of life, which a worker would have given meanwhile.
  await execute(db, 'UPDATE host SET seen_at = cloud_now()')
}

/** What no backup is made of any more goes at once here, so that what should stay is seen to. */
async function sweep(db: Db): Promise<void> {
  for (const accountId of await chunks.accountsToSweep(db)) {
    await chunks.mark(db, accountId)
    await chunks.sweep(db, accountId, 0)
  }
}

async function auditLeaks(db: Db, simulator: Simulator, hostId: HostId): Promise<void> {
  const rows = await db.selectFrom('instance').selectAll().where('host_id', '=', hostId).execute()
  const owned = new Map(rows.map((row) => [row.id, row]))
  for (const resource of await simulator.resources()) {
    const row = resource.instanceId && owned.get(resource.instanceId as InstanceId)
    assert.ok(row, `${resource.kind} ${resource.name} belongs to no row`)
    if (resource.kind === 'process') {
      assert.equal(row.state, 'running', `a process runs for an instance that is ${row.state}`)
    }
  }
  const exports = (await simulator.resources()).filter(({ name }) => name.startsWith('exports/'))
  assert.deepEqual(exports, [], 'exports left open')
  const seen = await simulator.list()
  for (const row of rows) {
    if (row.state === 'running') assert.equal(seen.get(row.id)?.power, 'running', `${row.id} should run`)
  }
  const { rows: leaks } = await db.executeQuery<{ what: string }>({
    sql: `
      SELECT 'lease ' || id AS what FROM strand WHERE leased_by IS NOT NULL
      UNION ALL SELECT 'address ' || address FROM ip_address JOIN instance ON instance.id = instance_id
        WHERE state = 'deleted' AND host_id IS NULL
      UNION ALL SELECT 'instance without addresses ' || id FROM instance
        WHERE state <> 'deleted' AND (SELECT count(*) FROM ip_address WHERE instance_id = instance.id) <> 2
      UNION ALL SELECT 'strand without instance ' || id FROM strand
        WHERE kind = 'instance' AND NOT EXISTS (SELECT 1 FROM instance WHERE instance.id = strand.id)
      UNION ALL SELECT 'open operation ' || kind || ' of ' || resource_id FROM operation WHERE state IN ('pending', 'running')
      UNION ALL SELECT 'open incident ' || kind || ' of ' || strand_id FROM incident WHERE resolved_at IS NULL
      UNION ALL SELECT 'snapshot in ' || state || ' ' || id FROM snapshot WHERE state NOT IN ('ready', 'failed')
      UNION ALL SELECT 'backup in ' || state || ' ' || id FROM backup WHERE state = 'creating'
      UNION ALL SELECT 'half a backup ' || id FROM backup
        WHERE (state = 'completed') <> (manifest_blob_id IS NOT NULL AND chunks IS NOT NULL) AND state <> 'deleted'
      UNION ALL SELECT 'backup without strand ' || id FROM backup
        WHERE state <> 'deleted' AND NOT EXISTS (SELECT 1 FROM strand WHERE strand.id = backup.id)
      UNION ALL SELECT 'strand of a deleted backup ' || backup.id FROM backup JOIN strand USING (id)
        WHERE backup.state = 'deleted'
      UNION ALL SELECT 'chunk of no backup ' || number FROM backup_chunk c
        WHERE NOT EXISTS (SELECT 1 FROM backup b WHERE b.state = 'completed' AND c.number = ANY (b.chunks))
      UNION ALL SELECT 'chunk that a backup lacks ' || b.id FROM backup b, unnest(b.chunks) AS its
        WHERE its <> 0 AND NOT EXISTS (SELECT 1 FROM backup_chunk c WHERE c.number = its)
      UNION ALL SELECT 'blob of nothing ' || id FROM blob
        WHERE NOT EXISTS (SELECT 1 FROM backup_chunk WHERE blob_id = blob.id)
          AND NOT EXISTS (SELECT 1 FROM backup WHERE manifest_blob_id = blob.id)
          AND NOT EXISTS (SELECT 1 FROM released_blob WHERE blob_id = blob.id)
      UNION ALL SELECT 'instance in ' || state || ' ' || id FROM instance
        WHERE state NOT IN ('running', 'stopped', 'deleted', 'failed')`,
    parameters: [],
    query: { kind: 'RawNode', sqlFragments: [], parameters: [] },
    queryId: { queryId: 'audit' },
  } as never)
  assert.deepEqual(
    leaks.map(({ what }) => what),
    [],
    'leaks',
  )
}
