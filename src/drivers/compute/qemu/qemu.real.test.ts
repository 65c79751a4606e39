/** The contract of compute drivers on real machines, and what only QEMU has: processes, users, interfaces, rules. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Machines, openMachines } from '../../../../test/machines.ts'
import { waitFor } from '../../../lib/wait.ts'
import type { InstanceId } from '../../../model/ids.ts'
import type { ComputeDriver, InstanceSpec } from '../compute.ts'
import { type ContractHost, computeContract } from '../contract.ts'
import { SOCKETS } from './args.ts'
import { ensureDisk } from './disk.ts'
import { connectQmp } from './qmp.ts'
import { filesOf, type InstanceRecord } from './record.ts'

const isRoot = process.getuid!() === 0
const { signal } = new AbortController()

/** The process of an instance, as the driver lists it. */
async function pidsOf(driver: ComputeDriver, id: InstanceId): Promise<number[]> {
  const mine = (await driver.resources()).filter((one) => one.kind === 'process' && one.instanceId === id)
  return mine.map(({ name }) => Number(name.replace('pid ', '')))
}

/** What the host itself says, whatever the driver thinks. */
function qemusOf({ uuid }: InstanceSpec): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`-uuid\0${uuid}\0`)
    } catch {
      return false
    }
  })
}

computeContract(
  'qemu',
  async (): Promise<ContractHost> => {
    const machines = await openMachines()
    const specs = new Map<InstanceId, InstanceSpec>()
    let driver = machines.create()
    return {
      driver,
      spec(overrides) {
        const spec = machines.spec(overrides)
        specs.set(spec.id, spec)
        return spec
      },
      async reopen() {
        await driver.close() // what the kernel does to the sockets of a dead process
        driver = machines.create()
        return driver
      },
      async powerOffFromInside(id) {
        // Behind our back: else the connection hangs when the guest's network goes first.
        await machines.ssh(specs.get(id)!, '(sleep 1; poweroff) >/dev/null 2>&1 </dev/null &')
      },
      async kill(id) {
        for (const pid of await pidsOf(driver, id)) process.kill(pid, 'SIGKILL')
      },
      async close() {
        await driver.close()
        await machines.close()
      },
    }
  },
  { bootMs: 120_000, shutdownMs: 120_000 },
)

describe('a machine that a killed control plane left', () => {
  let machines: Machines
  let driver: ComputeDriver
  let spec: InstanceSpec
  let pid: number

  before(async () => {
    machines = await openMachines()
    spec = machines.spec({ passwordHash: HASH })
    const plane = startControlPlane(machines, spec)
    await says(plane, 'running')
    const gone = once(plane, 'exit')
    plane.kill('SIGKILL')
    await gone
    driver = machines.create()
    await driver.open()
  })
  after(async () => {
    await driver.close()
    await machines.close()
  })

  test('is adopted as it is, also when its process was never noted down', async () => {
    const found = await pidsOf(driver, spec.id)
    assert.equal(found.length, 1)
    pid = found[0]!
    assert.equal((await driver.observe(spec.id)).power, 'running')
    const { record: file } = filesOf(machines.paths, spec.id)
    const record = JSON.parse(readFileSync(file, 'utf8')) as InstanceRecord
    assert.equal(record.process?.pid, pid)
    writeFileSync(file, JSON.stringify({ ...record, process: null, startedAt: null, wanted: 'stopped' }))
    assert.equal((await driver.observe(spec.id)).power, 'running')
    await driver.ensureRunning(spec, signal)
    assert.deepEqual(await pidsOf(driver, spec.id), [pid])
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')).process, record.process)
  })

  test('notes about a process with another start time, boot or uuid harm nobody', async () => {
    const { record: file } = filesOf(machines.paths, spec.id)
    const other = spawn('sleep', ['300'])
    const record = JSON.parse(readFileSync(file, 'utf8')) as InstanceRecord
    writeFileSync(file, JSON.stringify({ ...record, process: { ...record.process, pid: other.pid } }))
    await driver.ensureRunning(spec, signal)
    assert.deepEqual(await pidsOf(driver, spec.id), [pid])
    assert.equal(other.exitCode ?? other.signalCode, null)
    other.kill()
  })

  test('runs without privileges, in the sandbox, under limits', { skip: !isRoot }, async () => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    assert.doesNotMatch(status, /^Uid:\s+0/m)
    assert.match(status, /^CapEff:\s+0+$/m)
    assert.match(status, /^NoNewPrivs:\s+1$/m)
    assert.match(status, /^Seccomp:\s+2$/m)
    const { facts } = await driver.hostFacts()
    if (facts.cgroupControllers) {
      assert.match(
        readFileSync(`/proc/${pid}/cgroup`, 'utf8'),
        new RegExp(`/havn-${machines.options.prefix}/${spec.id}`),
      )
    }
  })

  test('leaves its second QMP socket to tools', async () => {
    const qmp = await connectQmp(join(filesOf(machines.paths, spec.id).run, SOCKETS.tools))
    assert.equal((await qmp.execute<{ status: string }>('query-status')).status, 'running')
    qmp.close()
  })

  test('answers on its own addresses and grew to its disk', async () => {
    assert.equal(await driver.waitForSsh(spec, 120_000, signal), true)
    assert.equal(await machines.ssh(spec, 'hostname'), spec.hostname)
    const kib = Number((await machines.ssh(spec, 'df -k / | tail -1')).split(/\s+/)[1])
    assert.ok(kib > 0.9 * 2 ** 20, `${kib} KiB`)
    if (isRoot) assert.equal(await machines.ssh(spec, 'echo six', spec.ipv6!), 'six')
  })

  test('cannot send from an address that is not its own', { skip: !isRoot }, async () => {
    const dropped = () => {
      const text = execFileSync('nft', ['list', 'chain', 'inet', `hv${machines.options.prefix}`, 'sources']).toString()
      return Number(/counter packets (\d+)/.exec(text)?.[1])
    }
    const ping = (from: string, to: string) =>
      machines.ssh(spec, `ping -c 2 -W 2 -I ${from} ${to} >/dev/null && echo answered || echo silence`)
    // The gateways are the host's own addresses; the taps' other end answers whoever may speak.
    assert.equal(await ping(spec.ipv4!, '169.254.0.1'), 'answered')
    const [stranger4, stranger6] = ['10.213.255.1', 'fd00:213::1']
    await machines.ssh(spec, `ip address add ${stranger4}/32 dev eth0; ip -6 address add ${stranger6}/128 dev eth0`)
    let before = dropped()
    assert.equal(await ping(stranger4, '169.254.0.1'), 'silence')
    assert.ok(dropped() >= before + 2)
    before = dropped()
    // The address is tentative for a second (RFC 4862); until then the guest itself refuses to send.
    const sent = await waitFor(
      async () => {
        assert.notEqual(await ping(stranger6, `${spec.ipv6!.slice(0, 4)}::1`), 'answered')
        return dropped() > before
      },
      { timeoutMs: 20_000 },
    )
    assert.ok(sent)
    await machines.ssh(spec, `ip address del ${stranger4}/32 dev eth0; ip -6 address del ${stranger6}/128 dev eth0`)
  })

  test('has no secrets in its seed any more once they are forgotten', async () => {
    const seed = filesOf(machines.paths, spec.id).seed(spec.generation)
    const before = statSync(seed)
    assert.ok(readFileSync(seed).includes(HASH))
    assert.equal(before.mode & 0o077, 0)
    await driver.forgetSecrets(spec)
    assert.ok(!readFileSync(seed).includes(HASH))
    assert.equal(statSync(seed).ino, before.ino) // the running QEMU has this file open
    assert.equal(await machines.ssh(spec, 'echo in'), 'in')
  })

  test('is measured from the second look on', async () => {
    await driver.stats(spec.id)
    const stats = (await driver.stats(spec.id))!
    assert.equal(stats.diskTotalBytes, 2 ** 30)
    assert.ok(stats.cpuPercent !== null && stats.cpuPercent >= 0)
    assert.equal(stats.networkInBytes !== null && stats.networkInBytes > 1_000, isRoot)
    const memory = await waitFor(async () => (await driver.stats(spec.id))?.memoryUsedBytes, { timeoutMs: 30_000 })
    assert.ok(memory && memory > 2 ** 20 && memory < spec.memoryMib * 2 ** 20)
  })

  test('what it writes, reads, sends and receives is counted', async () => {
    const before = (await driver.stats(spec.id))!
    const MIB = 2 ** 20
    // Past the file system's first blocks, which are in the guest's memory already.
    await machines.ssh(spec, 'dd if=/dev/vda of=/dev/null bs=1M skip=700 count=8 2>/dev/null')
    await machines.ssh(spec, 'dd if=/dev/urandom of=/root/known bs=1M count=4 2>/dev/null; sync; rm /root/known')
    const said = await machines.ssh(spec, "head -c 500000 /dev/zero | tr '\\0' x")
    assert.equal(said.length, 500_000)
    for (let turn = 0; turn < 3; turn++) await machines.ssh(spec, `: ${'x'.repeat(8_000)}`) // dropbear takes 9,000
    const after = (await driver.stats(spec.id))!
    assert.equal(after.run, before.run)
    const grown = (counter: 'diskReadBytes' | 'diskWriteBytes' | 'diskReadOps' | 'diskWriteOps') =>
      after[counter]! - before[counter]!
    assert.ok(grown('diskReadBytes') >= 8 * MIB && grown('diskReadBytes') < 12 * MIB, `${grown('diskReadBytes')} read`)
    assert.ok(
      grown('diskWriteBytes') >= 4 * MIB && grown('diskWriteBytes') < 8 * MIB,
      `${grown('diskWriteBytes')} written`,
    )
    assert.ok(grown('diskReadOps') > 0 && grown('diskWriteOps') > 0)
    if (!isRoot) return
    const [received, sent] = [
      after.networkInBytes! - before.networkInBytes!,
      after.networkOutBytes! - before.networkOutBytes!,
    ]
    assert.ok(sent >= 500_000 && sent < 700_000, `${sent} sent`)
    assert.ok(received >= 24_000 && received < 150_000, `${received} received`)
  })

  test('is still the same run after it reset itself', async () => {
    const before = (await driver.stats(spec.id))!
    const { startedAt } = await driver.observe(spec.id)
    const events: string[] = []
    const qmp = await connectQmp(join(filesOf(machines.paths, spec.id).run, SOCKETS.tools), {
      onEvent: ({ event }) => events.push(event),
    })
    await machines.ssh(spec, '(sleep 1; reboot -f) >/dev/null 2>&1 </dev/null &')
    assert.ok(await waitFor(() => events.includes('RESET'), { timeoutMs: 60_000 }))
    qmp.close()
    assert.deepEqual(await driver.observe(spec.id), { power: 'running', startedAt })
    assert.deepEqual(await pidsOf(driver, spec.id), [pid])
    const after = (await driver.stats(spec.id))!
    assert.equal(after.run, before.run)
    assert.ok(after.diskReadBytes! >= before.diskReadBytes!)
  })

  test('keeps the network it needs', async () => {
    await assert.rejects(driver.removeHostParts(), { code: 'conflict' })
  })

  test('has crashed when its kernel panics, and is started anew', async () => {
    const changed = new Set<InstanceId>()
    driver.onChange((id) => changed.add(id))
    assert.equal(await driver.waitForSsh(spec, 120_000, signal), true)
    await machines.ssh(spec, '(sleep 1; echo c > /proc/sysrq-trigger) >/dev/null 2>&1 </dev/null &')
    const seen = await waitFor(
      async () => {
        const observation = await driver.observe(spec.id)
        return observation.power === 'crashed' && observation
      },
      { timeoutMs: 60_000 },
    )
    assert.equal(seen?.detail, 'guest-panicked')
    assert.ok(changed.has(spec.id))
    await driver.ensureRunning(spec, signal)
    assert.equal((await driver.observe(spec.id)).power, 'running')
    const [next] = await pidsOf(driver, spec.id)
    assert.ok(next && next !== pid)
  })

  test('leaves nothing on the host once it is gone and the host parts are removed', async () => {
    await driver.ensureRunning(spec, signal)
    const before = (await driver.stats(spec.id))!
    process.kill((await pidsOf(driver, spec.id))[0]!, 'SIGKILL')
    assert.ok(await waitFor(async () => (await driver.observe(spec.id)).power === 'crashed', { timeoutMs: 10_000 }))
    const left = (await driver.stats(spec.id))!
    assert.equal(left.run, before.run)
    assert.deepEqual([left.cpuPercent, left.memoryUsedBytes, left.diskReadBytes], [null, null, null])
    if (isRoot) assert.ok(left.networkInBytes! >= before.networkInBytes!, 'the interface kept its count')
    await driver.removeHostParts()
    const kinds = new Set((await driver.resources()).map(({ kind }) => kind))
    assert.deepEqual(
      [...kinds].filter((kind) => ['process', 'interface', 'rule', 'cgroup'].includes(kind)),
      [],
    )
    await driver.open()
    await driver.ensureAbsent(spec.id, signal)
    assert.deepEqual(await driver.resources(), [])
  })
})

test('a control plane killed ten times in a row during a create leaves one machine, and then none', async () => {
  const machines = await openMachines()
  const driver = machines.create()
  try {
    const spec = machines.spec()
    for (let round = 0; round < 10; round++) {
      const plane = startControlPlane(machines, spec)
      await says(plane, 'open')
      await sleep(round * 20) // a create takes about 150 ms: this goes through all of it
      const gone = once(plane, 'exit')
      plane.kill('SIGKILL')
      await gone
      // Every other time what is there is taken down again, so that the next round begins from nothing.
      if (round % 2 === 1) await machines.create().ensureAbsent(spec.id, signal)
    }
    await driver.open()
    await driver.ensureDisk(spec, signal)
    await driver.ensureRunning(spec, signal)
    assert.equal((await driver.observe(spec.id)).power, 'running')
    assert.equal((await pidsOf(driver, spec.id)).length, 1)
    assert.equal(qemusOf(spec).length, 1)
    await driver.ensureAbsent(spec.id, signal)
    assert.deepEqual(await driver.resources(), [])
    assert.equal(qemusOf(spec).length, 0)
  } finally {
    await driver.close()
    await machines.close()
  }
})

test('a QEMU that cannot start says why, and leaves neither process nor interface', async () => {
  const machines = await openMachines()
  const driver = machines.create()
  try {
    await driver.open()
    const spec = machines.spec({ memoryMib: 1 << 30 })
    await driver.ensureDisk(spec, signal)
    await assert.rejects(driver.ensureRunning(spec, signal), {
      code: 'unavailable',
      message: /QEMU did not start: .*memory/,
    })
    assert.equal((await driver.observe(spec.id)).power, 'stopped')
    await driver.ensureStopped(spec.id, signal)
    const kinds = new Set((await driver.resources()).map(({ kind }) => kind))
    assert.deepEqual([...kinds].sort(), ['disk', 'file'])
    await driver.ensureAbsent(spec.id, signal)
  } finally {
    await driver.close()
    await machines.close()
  }
})

test('without taps SSH is forwarded from a port, and the guest keeps its address and reaches nothing', async () => {
  const machines = await openMachines('user')
  const driver = machines.create()
  try {
    await driver.open()
    assert.equal((await driver.hostFacts()).network, 'user')
    const spec = machines.spec()
    await driver.ensureDisk(spec, signal)
    await driver.ensureRunning(spec, signal)
    assert.equal(await driver.waitForSsh(spec, 120_000, signal), true)
    assert.match(await machines.ssh(spec, 'ip address show dev eth0'), new RegExp(`inet ${spec.ipv4!}/`))
    const reach = `nc -w 3 ${spec.ipv4!.replace(/\.\d+\.\d+$/, '.255.254')} ${spec.sshPort} </dev/null | grep -q SSH && echo in || echo out`
    assert.equal(await machines.ssh(spec, reach), 'out')
    assert.equal((await driver.stats(spec.id))?.networkInBytes, null)
    await driver.ensureAbsent(spec.id, signal)
    assert.deepEqual(await driver.resources(), [])
  } finally {
    await driver.close()
    await machines.close()
  }
})

describe('disks', { skip: !isRoot }, () => {
  let machines: Machines
  before(async () => {
    machines = await openMachines()
  })
  after(() => machines.close())
  const make = (base: string, folder = machines.paths.home, sizeGib = 1) =>
    ensureDisk({ file: join(folder, 'disk-g1.qcow2'), base, sizeGib, owner: { uid: 65_534, gid: 65_534 }, signal })

  test('a missing, damaged, unreadable, too large or foreign image is said so', async () => {
    const { images } = machines.paths
    const micro = join(images, 'micro.qcow2')
    await assert.rejects(make(join(images, 'missing.qcow2')), { code: 'not_found' })
    const damaged = join(images, 'damaged.qcow2')
    copyFileSync(micro, damaged)
    writeFileSync(damaged, Buffer.alloc(4096), { flag: 'r+' })
    await assert.rejects(make(damaged), { code: 'invalid', message: /damaged/ })
    truncateSync(damaged, 0)
    await assert.rejects(make(damaged), { code: 'invalid' })
    const secret = join(images, 'secret.qcow2')
    copyFileSync(micro, secret)
    chmodSync(secret, 0o600)
    await assert.rejects(make(secret), { code: 'unavailable', message: /cannot read/ })
    const backed = join(images, 'backed.qcow2')
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/passwd', backed, '1G'])
    await assert.rejects(make(backed), { code: 'invalid' })
    const large = join(images, 'large.qcow2')
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', large, '30G'])
    await assert.rejects(make(large), { code: 'invalid', message: /30 GiB/ })
  })

  test('a full disk is said so and leaves nothing', async () => {
    const full = join(machines.paths.home, 'full')
    mkdirSync(full)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', full])
    try {
      const error = { code: 'unavailable', message: /disk is full/ }
      await assert.rejects(make(join(machines.paths.images, 'micro.qcow2'), full), error)
      assert.equal(execFileSync('ls', ['-A', full]).toString(), '')
    } finally {
      execFileSync('umount', [full])
    }
  })
})

/** crypt(3) of nothing anybody knows. */
const HASH = `$6$saltsalt$${'x'.repeat(86)}`

/** A control plane of its own: starts the machine, says so, and waits to be killed. */
const CONTROL_PLANE = `
  let text = ''
  for await (const chunk of process.stdin) text += chunk
  const { options, spec, module } = JSON.parse(text)
  const { createQemuDriver } = await import(module)
  const driver = createQemuDriver(options)
  const { signal } = new AbortController()
  await driver.open()
  console.log('open')
  await driver.ensureDisk(spec, signal)
  await driver.ensureRunning(spec, signal)
  console.log('running')
  setInterval(() => {}, 1000)
`

function startControlPlane(machines: Machines, spec: InstanceSpec) {
  const plane = spawn(process.execPath, ['--input-type=module', '-e', CONTROL_PLANE], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  plane.stdin.end(JSON.stringify({ options: machines.options, spec, module: join(import.meta.dirname, 'driver.ts') }))
  return plane
}

async function says(plane: ChildProcess, word: string): Promise<void> {
  let text = ''
  const ended = once(plane, 'exit').then(() => assert.fail(`the control plane ended and said ${text}`))
  ended.catch(() => {})
  while (!text.includes(word)) {
    const [chunk] = (await Promise.race([once(plane.stdout!, 'data'), ended])) as [Buffer]
    text += chunk
  }
}
