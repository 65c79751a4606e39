/**
 * Create → SSH on QEMU, beside a bare QEMU that boots the same image with the same flags. Most of it is the guest's own
 * time; ours is what comes before the vCPUs run and after the banner was read. The bare boot takes its command line from
 * a machine that the driver has just started and that is killed before it got anywhere.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ComputeDriver } from '../src/drivers/compute/compute.ts'
import { startApi } from '../src/main/api.ts'
import { bootstrap } from '../src/main/bootstrap.ts'
import { readConfig } from '../src/main/config.ts'
import { buildContext } from '../src/main/context.ts'
import { ensureInstallationKeys } from '../src/main/keys.ts'
import { startWorker } from '../src/main/worker.ts'
import type { InstanceSpec } from '../src/model/instance-spec.ts'
import { emptyDatabase } from '../test/database.ts'
import { type Machines, openMachines } from '../test/machines.ts'
import { bench, percentile, printRatio, printTable, readOptions, round, type Scope } from './tools.ts'

const options = readOptions({ boots: 2 })
const BOOT_MS_MAX = 180_000
const POLL_MS = 20
const { signal } = new AbortController()

interface Times {
  powered: number
  guest: number
  told: number
}

await bench(async (scope) => {
  const machines = await openMachines()
  scope.after(() => machines.close())
  const driver = machines.create()
  const create = await startControlPlane(scope, machines, driver)
  const ours: Times[] = []
  const bare: number[] = []
  for (let i = 0; i < options.boots; i++) {
    ours.push(await create())
    bare.push(await bootBare(machines, driver))
  }
  const median = (of: (times: Times) => number) => percentile(ours.map(of), 0.5)
  const ms = (value: number) => `${round(value, 0)} ms`
  const total = median(({ powered, guest, told }) => powered + guest + told)
  printTable(
    [`create to SSH, median of ${options.boots}`, 'measured', 'aim'],
    [
      ['accepted → vCPUs run', ms(median(({ powered }) => powered)), ''],
      ['vCPUs run → banner (the guest)', ms(median(({ guest }) => guest)), ''],
      ['banner → running', ms(median(({ told }) => told)), ''],
      ['our share', ms(median(({ powered, told }) => powered + told)), '<= 1000 ms'],
      ['create → running', ms(total), ''],
      ['bare QEMU, start → banner', ms(percentile(bare, 0.5)), ''],
    ],
  )
  printRatio('create / bare boot', total, percentile(bare, 0.5), 'near 1')
})

/** Returns what creates one instance over HTTP, waits until it runs, and deletes it. */
async function startControlPlane(
  scope: Scope,
  machines: Machines,
  driver: ComputeDriver,
): Promise<() => Promise<Times>> {
  const { url: databaseUrl } = await emptyDatabase(scope)
  const config = readConfig({ HAVN_HOME: machines.paths.home, HAVN_COMPUTE: 'qemu', HAVN_LISTEN: '127.0.0.1:0' })
  await ensureInstallationKeys(machines.paths)
  await chmod(machines.paths.home, 0o711)
  const seen = { powered: 0, banner: 0 }
  const compute: ComputeDriver = {
    ...driver,
    async ensureRunning(...args) {
      await driver.ensureRunning(...args)
      seen.powered = performance.now()
    },
    async waitForSsh(...args) {
      const isReady = await driver.waitForSsh(...args)
      seen.banner = performance.now()
      return isReady
    },
  }
  const context = await buildContext(config, 'api', { databaseUrl, compute })
  const { db } = context
  scope.after(() => context.close())
  const { credentials } = await bootstrap(context)
  await db.updateTable('image').set({ state: 'available', digest: 'micro' }).where('id', '=', 'micro').execute()
  await db.updateTable('plan').set({ memory_mib: 192, disk_gib: 1 }).execute()
  const worker = await startWorker(context)
  scope.after(() => worker.stop())
  const api = await startApi(context)
  scope.after(() => api.stop())
  const headers = { authorization: `Bearer ${credentials.apiKey}`, 'content-type': 'application/json' }
  const url = `${api.url}/havn/v1/instances`

  return async () => {
    const body = JSON.stringify({ name: 'boot', imageId: 'micro' })
    const answer = await fetch(url, { method: 'POST', headers, body })
    if (!answer.ok) throw new Error(`the create answered ${answer.status}: ${await answer.text()}`)
    const accepted = performance.now()
    const { instance } = (await answer.json()) as { instance: { id: `inst_${string}` } }
    await until('the instance runs', async () => {
      const row = await db
        .selectFrom('instance')
        .select('state')
        .where('id', '=', instance.id)
        .executeTakeFirstOrThrow()
      return row.state === 'running'
    })
    const told = performance.now()
    await driver.ensureAbsent(instance.id, signal)
    await fetch(`${url}/${instance.id}?purge=true`, { method: 'DELETE', headers })
    return { powered: seen.powered - accepted, guest: seen.banner - seen.powered, told: told - seen.banner }
  }
}

async function bootBare(machines: Machines, driver: ComputeDriver): Promise<number> {
  const spec = machines.spec()
  await driver.ensureDisk(spec, signal)
  await driver.ensureRunning(spec, signal)
  const mine = (await driver.resources()).find((one) => one.kind === 'process' && one.instanceId === spec.id)
  const pid = Number(mine?.name.replace('pid ', ''))
  const line = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1)
  const [command, ...args] = line.filter((word) => word !== '-S') // else it waits for somebody to say `cont`
  process.kill(pid, 'SIGKILL')
  // With all its threads: the last one holds the disk's lock and the interface.
  await until('the first process is gone', async () => !existsSync(`/proc/${pid}`))
  const began = performance.now()
  const qemu = spawn(command!, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  await until('the bare machine shows its banner', async () => {
    if (qemu.exitCode !== null) throw new Error(`the bare QEMU ended with ${qemu.exitCode}`)
    return hasBanner(machines, spec)
  })
  const took = performance.now() - began
  qemu.kill('SIGKILL')
  await driver.ensureAbsent(spec.id, signal)
  return took
}

/** One connection; a guest that is not up yet refuses it, or stays silent until the time is over. */
function hasBanner(machines: Machines, spec: InstanceSpec): Promise<boolean> {
  const to = machines.isRouted ? { host: spec.ipv4!, port: 22 } : { host: '127.0.0.1', port: spec.sshPort! }
  return new Promise((resolve) => {
    const socket = connect({ ...to, timeout: 1_000 })
    const answer = (isThere: boolean) => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('data', (bytes) => answer(bytes.toString('latin1').startsWith('SSH-')))
    socket.once('timeout', () => answer(false))
    socket.once('error', () => answer(false))
    socket.once('close', () => answer(false))
  })
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + BOOT_MS_MAX
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${BOOT_MS_MAX} ms: ${what}`)
    await sleep(POLL_MS)
  }
}
