/**
 * How long a guest stands still for a backup, while it writes: the standstill that the driver reports for each export,
 * beside a freeze with nothing in it (freeze and thaw asked one after the other), which is what the agent itself costs.
 * Both count from asking for the freeze to the answer of the thaw, so the real standstill is shorter than either.
 */
import { join } from 'node:path'
import { SOCKETS } from '../src/drivers/compute/qemu/args.ts'
import { askAgent } from '../src/drivers/compute/qemu/guest/agent.ts'
import { filesOf } from '../src/drivers/compute/qemu/record.ts'
import { newId } from '../src/model/ids.ts'
import { openMachines } from '../test/machines.ts'
import { bench, percentile, printRatio, printTable, readOptions, round } from './tools.ts'

const options = readOptions({ opens: 20 })
const BOOT_MS = 180_000
const AGENT_MS = 5_000
const { signal } = new AbortController()

await bench(async (scope) => {
  const machines = await openMachines()
  scope.after(() => machines.close())
  const driver = machines.create()
  scope.after(() => driver.close())
  await driver.open()
  const spec = machines.spec()
  await driver.ensureDisk(spec, signal)
  await driver.ensureRunning(spec, signal)
  if (!(await driver.waitForSsh(spec, BOOT_MS, signal))) throw new Error('the guest did not boot')
  const loop = 'while :; do dd if=/dev/urandom of=/root/busy bs=64k count=16 conv=fsync 2>/dev/null; done'
  await machines.ssh(spec, `(${loop}) >/dev/null 2>&1 </dev/null &`)

  const agent = join(filesOf(machines.paths, spec.id).run, SOCKETS.agent)
  const frozen: number[] = []
  const bare: number[] = []
  const opened: number[] = []
  const reasons = new Map<string, number>()
  let since: string | null = null
  for (let i = 0; i < options.opens; i++) {
    const name = newId('backup')
    const from = performance.now()
    const disk = await driver.openExport(spec, name, { changedSince: since }, signal)
    opened.push(performance.now() - from)
    if (disk.frozenMs !== null && disk.consistency === 'filesystem') frozen.push(disk.frozenMs)
    else reasons.set(disk.consistencyReason ?? '', (reasons.get(disk.consistencyReason ?? '') ?? 0) + 1)
    await driver.closeExport(spec.id, name, { keep: true }, signal)
    since = name

    const began = performance.now()
    await askAgent(agent, 'guest-fsfreeze-freeze', {}, AGENT_MS)
    await askAgent(agent, 'guest-fsfreeze-thaw', {}, AGENT_MS)
    bare.push(performance.now() - began)
  }
  const ms = (values: number[], part: number) => (values.length ? `${round(percentile(values, part), 0)} ms` : '-')
  const row = (what: string, values: number[], aim: string) => [what, ms(values, 0.5), ms(values, 0.95), aim]
  printTable(
    [`${options.opens} exports of a writing guest`, 'median', 'p95', 'aim'],
    [
      row('standstill of the file systems', frozen, 'p95 <= 500 ms'),
      row('bare freeze and thaw', bare, ''),
      row('openExport, all of it', opened, ''),
    ],
  )
  for (const [reason, times] of reasons) console.log(`not frozen ${times} times: ${reason}`)
  if (frozen.length > 0) printRatio('standstill / bare', percentile(frozen, 0.95), percentile(bare, 0.95), '<= 2')
})
