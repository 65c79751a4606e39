/** The small pure parts and what runs on any Linux: identities, logs, limits, accelerator, banner, agent. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { bootId } from '../../../lib/process-identity.ts'
import { copyLimit } from './exports/live.ts'
import { nbdArgs } from './exports/stopped.ts'
import { askAgent, usedBytes } from './guest/agent.ts'
import { waitForBanner } from './guest/ssh.ts'
import { chooseAccel, probeSector } from './host/accel.ts'
import { limitFiles, limitsFor } from './host/cgroup.ts'
import { parseNameservers, reservedMib } from './host/host.ts'
import { identify, isAlive, kill, parseCpuTicks, waitForExit } from './host/process.ts'
import { boundLog, ensureLog, readLogTail } from './log.ts'
import { cpuPercent, createPatience, memoryUse } from './stats.ts'

const folder = mkdtempSync(join(tmpdir(), 'parts-'))
const servers: Server[] = []
after(() => {
  for (const server of servers) server.close()
  rmSync(folder, { recursive: true, force: true })
})
const { signal } = new AbortController()

test('the name of a process cannot shift the fields of its stat', () => {
  const tail = 'S 1 7 7 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1 0 99 0 0'
  assert.equal(parseCpuTicks(`4711 (evil) R 9 (x) ${tail}`), 175)
})

test('a reused pid, another boot and another machine are not the same process', async () => {
  const other = spawn('sleep', ['60'])
  await once(other, 'spawn')
  const found = identify(other.pid!, 'uuid')!
  for (const stranger of [
    { ...found, startTime: '1' },
    { ...found, bootId: 'another' },
    { ...found, uuid: 'not on its command line' },
  ]) {
    assert.equal(await isAlive(stranger), false)
    await kill(stranger)
  }
  assert.equal(other.exitCode, null)
  assert.equal(other.signalCode, null)
  other.kill('SIGKILL')
  await once(other, 'exit')
  assert.equal(await waitForExit(found, 1_000), true)
  assert.equal(found.bootId, bootId())
  assert.equal(identify(other.pid!, 'uuid'), null)
})

test('the log stays bounded and its end is whole', async () => {
  const file = join(folder, 'serial.log')
  assert.equal((await readLogTail(file, 100)).length, 0)
  await ensureLog(file, null)
  appendFileSync(file, 'a'.repeat(900))
  await boundLog(file, 1_000)
  assert.equal(statSync(file).size, 900)
  appendFileSync(file, `${'b'.repeat(195)}first`)
  await boundLog(file, 1_000)
  assert.equal(statSync(file).size, 0)
  appendFileSync(file, 'second')
  assert.equal((await readLogTail(file, 11)).toString(), 'firstsecond')
  assert.equal((await readLogTail(file, 3)).toString(), 'ond')
  appendFileSync(file, 'c'.repeat(5_000))
  await boundLog(file, 1_000)
  assert.equal((await readLogTail(file, 1 << 20)).toString(), 'c'.repeat(1_000))
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('limits in both versions’ words', () => {
  const limits = limitsFor(1024, 128, 2)
  assert.deepEqual(limitFiles(2, 'memory', limits), [['memory.max', String(1536 * 2 ** 20)]])
  assert.deepEqual(limitFiles(1, 'memory', limits), [['memory.limit_in_bytes', String(1536 * 2 ** 20)]])
  assert.deepEqual(limitFiles(2, 'cpu', limits), [['cpu.max', '300000 100000']])
  assert.deepEqual(limitFiles(1, 'cpu', limits), [
    ['cpu.cfs_period_us', '100000'],
    ['cpu.cfs_quota_us', '300000'],
  ])
  assert.deepEqual(limitFiles(2, 'pids', limits), [['pids.max', '258']])
})

test('CPU use is of all vCPUs together, of one process, never above 100', () => {
  const before = { pid: 1, ticks: 100, atMs: 1_000 }
  assert.equal(cpuPercent(before, { pid: 1, ticks: 200, atMs: 2_000 }, 2), 50)
  assert.equal(cpuPercent(before, { pid: 1, ticks: 900, atMs: 2_000 }, 2), 100)
  assert.equal(cpuPercent(before, { pid: 2, ticks: 200, atMs: 2_000 }, 2), null)
  assert.equal(cpuPercent(before, before, 2), null)
})

test('memory is what the guest said lately, and null of one that never did or has fallen silent', async () => {
  const said = (secondsAgo: number | null) => {
    const stats = { 'stat-total-memory': 1_000, 'stat-available-memory': 400 }
    const at = secondsAgo === null ? 0 : Math.floor(Date.now() / 1000) - secondsAgo
    return memoryUse({ execute: async () => ({ 'last-update': at, stats }) as never })
  }
  assert.deepEqual(await said(5), { used: 600, total: 1_000 })
  assert.equal(await said(null), null)
  assert.equal(await said(120), null)
})

test('name servers a guest can reach', () => {
  const text = 'search x\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver fe80::1\n'
  assert.deepEqual(parseNameservers(text), ['192.0.2.53', '2001:db8::53'])
  assert.equal(reservedMib(2_048), 768)
  assert.equal(reservedMib(32_768), 4_096)
})

test('the probe sector is a boot sector', () => {
  const sector = probeSector()
  assert.equal(sector.length, 512)
  assert.equal(sector.readUInt16LE(510), 0xaa55)
})

test('an accelerator is chosen by booting, remembered, and a missing QEMU is said', async () => {
  const input = { binary: 'qemu-system-x86_64', demanded: 'tcg' as const, folder, owner: null }
  const accel = await chooseAccel(input)
  assert.equal(accel.kind, 'tcg')
  assert.match(accel.version, /^\d+\.\d+/)
  const began = performance.now()
  assert.deepEqual(await chooseAccel(input), accel)
  assert.ok(performance.now() - began < 5_000)
  await assert.rejects(chooseAccel({ ...input, binary: 'qemu-system-nothing' }), /apt-get install/)
})

async function serve(talk: Parameters<typeof createServer>[1]): Promise<number> {
  const server = createServer(talk).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

test('a banner is waited for, patiently and one connection at a time', async () => {
  let open = 0
  let most = 0
  let tries = 0
  const port = await serve((socket) => {
    most = Math.max(most, ++open)
    socket.on('close', () => open--)
    socket.on('error', () => {})
    if (++tries < 3) return socket.destroy()
    socket.write('hello\r\n')
    setImmediate(() => socket.write('SSH-2.0-test\r\n'))
  })
  assert.equal(await waitForBanner({ host: '127.0.0.1', port, forward: null }, 5_000, signal), true)
  assert.equal(most, 1)
  const silent = await serve((socket) => socket.on('error', () => {}))
  assert.equal(await waitForBanner({ host: '127.0.0.1', port: silent, forward: null }, 120, signal), false)
  const abort = new AbortController()
  const waiting = waitForBanner({ host: '127.0.0.1', port: silent, forward: null }, 60_000, abort.signal)
  setImmediate(() => abort.abort(new Error('enough')))
  await assert.rejects(waiting, /enough/)
})

test('the guest agent: old rubbish is skipped, answers are bounded and not believed blindly', async () => {
  const path = join(folder, 'ga')
  let answer = (): string => '{"return": [{"name": "vda1", "used-bytes": 5}]}\n'
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write('{"return": "left over"}\n')
    socket.on('data', (chunk) => {
      const line = chunk.subarray(chunk.lastIndexOf(0xff) + 1).toString()
      const { execute, arguments: args } = JSON.parse(line) as { execute: string; arguments: { id: number } }
      if (execute !== 'guest-sync-delimited') return socket.write(answer())
      socket.write(Buffer.concat([Buffer.from([0xff]), Buffer.from(`{"return": ${args.id}}\n`)]))
    })
  }).listen(path)
  servers.push(server)
  await once(server, 'listening')
  assert.equal(usedBytes(await askAgent(path, 'guest-get-fsinfo')), 5)
  answer = () => '{"error": {"desc": "not allowed"}}\n'
  await assert.rejects(askAgent(path, 'guest-get-fsinfo'), /not allowed/)
  answer = () => 'x'.repeat(300_000)
  await assert.rejects(askAgent(path, 'guest-get-fsinfo'), /too long/)
  answer = () => ''
  await assert.rejects(askAgent(path, 'guest-get-fsinfo', {}, 50), /no answer/)
  for (const nonsense of [null, {}, [], [{ 'used-bytes': -1 }], [null]]) assert.equal(usedBytes(nonsense), null)
  assert.equal(
    usedBytes([
      { name: 'a', 'used-bytes': 1 },
      { name: 'a', 'used-bytes': 1 },
      { name: 'b', 'used-bytes': 2 },
    ]),
    3,
  )
  writeFileSync(join(folder, 'no-socket'), '')
  await assert.rejects(askAgent(join(folder, 'no-socket'), 'guest-ping'))
})

test('an agent that does not answer is asked less and less, until it answers', () => {
  let time = 0
  const agent = createPatience(() => time)
  const pauses: number[] = []
  for (let turn = 0; turn < 9; turn++) {
    agent.silent()
    const since = time
    while (!agent.mayAsk()) time += 10_000
    pauses.push((time - since) / 1_000)
  }
  assert.deepEqual(pauses, [30, 60, 120, 240, 480, 960, 1_800, 1_800, 1_800])
  agent.heard()
  agent.silent()
  time += 30_000
  assert.equal(agent.mayAsk(), true)
})

test('the copy of an export leaves the host its reserve, and is refused where that is all there is', () => {
  const gib = 2 ** 30
  const of = (disk: number, host: number, free: number) => copyLimit(disk * gib, host * gib, free * gib)
  assert.equal(of(20, 1000, 10), null, 'five percent are kept')
  assert.equal(of(20, 10, 1.05), null, 'a GiB is kept')
  assert.equal(of(20, 10, 3), 2 * gib)
  const whole = of(20, 1000, 500) ?? 0
  assert.ok(whole > 20 * gib && whole < 21 * gib, 'no more than the disk and its tables')
})

test('qemu-nbd is told everything, by words that cannot be taken for others', () => {
  assert.deepEqual(nbdArgs('/run/i/nbd', '/disks/d', 'bkp_b', 'bkp_a'), [
    '--read-only',
    '--format=qcow2',
    '--persistent',
    '--shared=16',
    '--export-name=bkp_b',
    '--bitmap=bkp_a',
    '--socket=/run/i/nbd',
    '/disks/d',
  ])
})
