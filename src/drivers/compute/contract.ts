/**
 * What every compute driver promises, as a test suite; called from simulator.test.ts and from each driver's own test.
 * Booting is slow on some of them, so the machines are shared: one is taken through its whole life in order, and the
 * subtests say where it is. Guests must be able to boot to an SSH banner and obey the power button.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type InstanceId, newIdentity } from '../../model/ids.ts'
import type { ComputeDriver, InstanceSpec, Observed } from './compute.ts'

export interface ContractHost {
  driver: ComputeDriver
  /** A new instance that this driver can boot, with its own id; `overrides` wins. */
  spec(overrides?: Partial<InstanceSpec>): InstanceSpec
  /**
   * The driver as a new process finds it after kill -9 of the control plane. The old one is not asked to close; what
   * the death of a process frees by itself (sockets, locks) is freed here.
   */
  reopen(): Promise<ComputeDriver>
  /** The guest runs `poweroff`. */
  powerOffFromInside(id: InstanceId): Promise<void>
  /** The machine dies, as after SIGKILL of its process. */
  kill(id: InstanceId): Promise<void>
  close(): Promise<void>
}

export interface ContractLimits {
  /** From start to SSH banner, at most. */
  bootMs?: number
  /** From power button to off, at most. */
  shutdownMs?: number
}

const POLL_MS = 50
/** An answer that does not wait for the guest comes within this. */
const PROMPT_MS = 10_000

export function computeContract(name: string, open: () => Promise<ContractHost>, limits: ContractLimits = {}): void {
  const { bootMs = 60_000, shutdownMs = 60_000 } = limits

  describe(`compute driver ${name}`, () => {
    let host: ContractHost
    let driver: ComputeDriver
    const { signal } = new AbortController()
    const changed: InstanceId[] = []
    const unknown = newIdentity('instance').id

    before(async () => {
      host = await open()
      driver = host.driver
      await driver.open()
      listen(driver)
    })
    after(async () => {
      for (const id of (await driver.list()).keys()) await driver.ensureAbsent(id, signal)
      await host.close()
    })

    const listen = (of: ComputeDriver) => of.onChange((id) => changed.push(id))

    async function power(id: InstanceId): Promise<Observed> {
      const seen = (await driver.observe(id)).power
      assert.equal((await driver.list()).get(id)?.power ?? 'absent', seen, 'list and observe agree')
      return seen
    }
    async function becomes(id: InstanceId, wanted: Observed, withinMs: number): Promise<void> {
      await eventually(`${id} is ${wanted}`, withinMs, async () => (await driver.observe(id)).power === wanted)
      assert.equal(await power(id), wanted)
    }
    async function ofInstance(id: InstanceId): Promise<string[]> {
      const found = (await driver.resources()).filter((one) => one.instanceId === id)
      return found.map(({ kind, name }) => `${kind} ${name}`).sort()
    }
    const disksOf = async (id: InstanceId) => (await ofInstance(id)).filter((one) => one.startsWith('disk '))
    /** Boots what has a disk, without waiting for the guest. */
    async function start(spec: InstanceSpec): Promise<void> {
      await driver.ensureDisk(spec, signal)
      await driver.ensureRunning(spec, signal)
      assert.equal(await power(spec.id), 'running')
    }
    const isReady = async (spec: InstanceSpec) =>
      assert.equal(await driver.waitForSsh(spec, bootMs, signal), true, 'the SSH banner shows')

    test('open is safe to repeat', async () => {
      await driver.open()
      const facts = await driver.hostFacts()
      for (const value of [facts.cores, facts.memoryMib, facts.diskBytes, facts.bootSlots]) {
        assert.ok(value === null || value > 0)
      }
    })

    test('an unknown instance is absent, and every end state but running is reached at once', async () => {
      assert.equal(await power(unknown), 'absent')
      await driver.requestShutdown(unknown)
      await driver.ensureStopped(unknown, signal)
      await driver.ensureAbsent(unknown, signal)
      await driver.ensureAbsent(unknown, signal)
      assert.equal(await driver.stats(unknown), null)
      assert.equal((await driver.readLog(unknown, 4096)).length, 0)
      assert.equal(await power(unknown), 'absent')
      assert.deepEqual(await ofInstance(unknown), [])
      assert.equal(await driver.waitForSsh(host.spec(), 100, signal), false)
    })

    test('one machine through its life', async (life) => {
      const spec = host.spec()
      const { id } = spec
      let startedAt: Date | null = null

      await life.test('a disk is made once', async () => {
        await driver.ensureDisk(spec, signal)
        assert.equal(await power(id), 'stopped')
        const disks = await disksOf(id)
        assert.ok(disks.length > 0)
        await driver.ensureDisk(spec, signal)
        assert.deepEqual(await disksOf(id), disks)
      })

      await life.test('ensureRunning runs it, and again is the same run', async () => {
        await driver.ensureRunning(spec, signal)
        const first = await driver.observe(id)
        assert.equal(first.power, 'running')
        assert.ok(first.startedAt)
        await driver.ensureRunning(spec, signal)
        await driver.ensureDisk(spec, signal)
        assert.deepEqual((await driver.observe(id)).startedAt, first.startedAt)
        startedAt = first.startedAt
      })

      await life.test('the banner is waited for, not longer than said, and not after an abort', async () => {
        const abort = new AbortController()
        const waiting = driver.waitForSsh(spec, bootMs, abort.signal)
        abort.abort(new Error('nobody waits any more'))
        assert.notEqual(await promptly(waiting.catch(() => 'aborted')), undefined)
        await isReady(spec)
        await isReady(spec)
        await driver.forgetSecrets(spec)
        await driver.forgetSecrets(spec)
        assert.ok((await driver.readLog(id, 1 << 20)).length > 0)
        assert.ok((await driver.readLog(id, 16)).length <= 16)
      })

      await life.test('statistics are measured or null, never made up', async () => {
        const stats = await driver.stats(id)
        if (stats === null) return
        assert.ok(Math.abs(stats.measuredAt.getTime() - Date.now()) < 3_600_000)
        for (const [key, value] of Object.entries(stats)) {
          if (key === 'measuredAt' || key === 'run') continue
          assert.ok(value === null || (value as number) >= 0, `${key} is ${value}`)
        }
      })

      await life.test('a killed control plane finds it again, untouched', async () => {
        driver = await host.reopen()
        await driver.open()
        listen(driver)
        const seen = await driver.observe(id)
        assert.equal(seen.power, 'running')
        assert.deepEqual(seen.startedAt, startedAt)
        await driver.ensureRunning(spec, signal)
        assert.deepEqual((await driver.observe(id)).startedAt, startedAt)
        assert.equal(await power(id), 'running')
      })

      await life.test('the power button switches it off, and that is told', async () => {
        await isReady(spec)
        changed.length = 0
        await driver.requestShutdown(id)
        await driver.requestShutdown(id)
        await becomes(id, 'off', shutdownMs)
        await eventually('onChange tells of the shutdown', PROMPT_MS, async () => changed.includes(id))
        const left = await driver.stats(id)
        assert.equal(left?.cpuPercent ?? null, null)
        assert.equal(left?.memoryUsedBytes ?? null, null)
      })

      await life.test('ensureStopped of what is off leaves the disk and nothing else', async () => {
        await driver.ensureStopped(id, signal)
        await driver.ensureStopped(id, signal)
        assert.equal(await driver.stats(id), null)
        assert.equal(await power(id), 'stopped')
        assert.equal((await driver.observe(id)).startedAt, null)
        assert.ok((await disksOf(id)).length > 0)
        assert.equal((await ofInstance(id)).filter((one) => one.startsWith('process ')).length, 0)
        await driver.requestShutdown(id)
        assert.equal(await power(id), 'stopped')
      })

      await life.test(
        'a guest that powers itself off is off, also to a new control plane, and is started anew',
        async () => {
          await start(spec)
          await isReady(spec)
          changed.length = 0
          await host.powerOffFromInside(id)
          await becomes(id, 'off', shutdownMs)
          await eventually('onChange tells of it', PROMPT_MS, async () => changed.includes(id))
          driver = await host.reopen()
          await driver.open()
          listen(driver)
          assert.equal(await power(id), 'off')
          await driver.ensureRunning(spec, signal)
          assert.equal(await power(id), 'running')
        },
      )

      await life.test('a killed machine has crashed, also to a new control plane, and is started anew', async () => {
        changed.length = 0
        await host.kill(id)
        await becomes(id, 'crashed', PROMPT_MS)
        await eventually('onChange tells of it', PROMPT_MS, async () => changed.includes(id))
        driver = await host.reopen()
        await driver.open()
        listen(driver)
        assert.equal(await power(id), 'crashed')
        await driver.ensureRunning(spec, signal)
        assert.equal(await power(id), 'running')
        assert.notDeepEqual((await driver.observe(id)).startedAt, startedAt)
      })

      await life.test('ensureStopped of what runs is never seen as a crash', async () => {
        let stopped = false
        const stopping = driver.ensureStopped(id, signal).finally(() => {
          stopped = true
        })
        const seen = new Set<Observed>()
        while (!stopped) {
          seen.add((await driver.observe(id)).power)
          await sleep(1)
        }
        await stopping
        seen.add(await power(id))
        assert.ok(!seen.has('crashed') && !seen.has('absent'), [...seen].join())
        assert.equal(await power(id), 'stopped')
      })

      await life.test('ensureStopped of what crashed ends the crash', async () => {
        await start(spec)
        await host.kill(id)
        await becomes(id, 'crashed', PROMPT_MS)
        await driver.ensureStopped(id, signal)
        assert.equal(await power(id), 'stopped')
      })

      await life.test('a new generation gets a new disk', async () => {
        const before = await disksOf(id)
        const rebuilt = { ...spec, generation: spec.generation + 1 }
        await driver.ensureDisk(rebuilt, signal)
        await driver.ensureRunning(rebuilt, signal)
        assert.equal(await power(id), 'running')
        const now = await disksOf(id)
        assert.ok(
          now.some((disk) => !before.includes(disk)),
          'there is a disk that was not there before',
        )
      })

      await life.test('ensureAbsent of what runs leaves nothing', async () => {
        await driver.ensureAbsent(id, signal)
        assert.equal(await power(id), 'absent')
        assert.deepEqual(await ofInstance(id), [])
        await driver.ensureAbsent(id, signal)
        assert.equal(await driver.waitForSsh(spec, 100, signal), false)
      })
    })

    test('a verb that was aborted is repaired by the next call', async () => {
      const spec = host.spec()
      const verbs = [driver.ensureDisk, driver.ensureRunning].map((verb) => verb.bind(driver))
      for (const verb of verbs) {
        const aborted = AbortSignal.abort(new Error('aborted before'))
        await verb(spec, aborted).catch(() => {})
        const abort = new AbortController()
        const running = verb(spec, abort.signal).catch(() => {})
        abort.abort(new Error('aborted meanwhile'))
        await running
        await verb(spec, signal)
      }
      assert.equal(await power(spec.id), 'running')
      await driver.ensureStopped(spec.id, AbortSignal.abort()).catch(() => {})
      await driver.ensureStopped(spec.id, signal)
      assert.equal(await power(spec.id), 'stopped')
      await driver.ensureAbsent(spec.id, AbortSignal.abort()).catch(() => {})
      await driver.ensureAbsent(spec.id, signal)
      assert.deepEqual(await ofInstance(spec.id), [])
    })

    test('two callers of one verb at once make one machine', async () => {
      const spec = host.spec()
      await Promise.all([driver.ensureDisk(spec, signal), driver.ensureDisk(spec, signal)])
      await Promise.all([driver.ensureRunning(spec, signal), driver.ensureRunning(spec, signal)])
      assert.equal((await ofInstance(spec.id)).filter((one) => one.startsWith('process ')).length, 1)
      await Promise.all([driver.ensureAbsent(spec.id, signal), driver.ensureAbsent(spec.id, signal)])
      assert.deepEqual(await ofInstance(spec.id), [])
    })

    test('nothing is left of instances that are absent', async () => {
      const leftovers = (await driver.resources()).filter(({ instanceId }) => instanceId !== null)
      assert.deepEqual(leftovers, [])
      assert.equal((await driver.list()).size, 0)
    })
  })
}

async function eventually(what: string, withinMs: number, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await holds())) {
    if (Date.now() > deadline) assert.fail(`not within ${withinMs} ms: ${what}`)
    await sleep(POLL_MS)
  }
}

async function promptly<T>(work: Promise<T>): Promise<T> {
  const abort = new AbortController()
  const late = sleep(PROMPT_MS, undefined, { signal: abort.signal }).then(() => assert.fail('no prompt answer'))
  late.catch(() => {})
  return Promise.race([work, late]).finally(() => abort.abort())
}
