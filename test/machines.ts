/** A QEMU driver on a throw-away home, for tests that boot real machines; works with and without root. */
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ComputeDriver } from '../src/drivers/compute/compute.ts'
import { createQemuDriver, type QemuOptions } from '../src/drivers/compute/qemu/driver.ts'
import { type Paths, pathsOf } from '../src/lib/paths.ts'
import { newIdentity } from '../src/model/ids.ts'
import type { InstanceSpec } from '../src/model/instance-spec.ts'
import { microImage } from './micro-image.ts'

export interface Machines {
  paths: Paths
  options: QemuOptions
  isRouted: boolean
  /** Opens one more driver on the same home. */
  create(): ComputeDriver
  spec(overrides?: Partial<InstanceSpec>): InstanceSpec
  /** Runs a command in the guest as root; rejects when it fails. */
  ssh(spec: InstanceSpec, command: string, host?: string): Promise<string>
  close(): Promise<void>
}

/** `user`: no taps even as root. */
export async function openMachines(network: 'auto' | 'user' = 'auto'): Promise<Machines> {
  const home = mkdtempSync(join(tmpdir(), 'hv-')) // short: socket paths hold 107 bytes
  const isRouted = process.getuid!() === 0 && network === 'auto'
  execFileSync('chmod', ['0711', home])
  const paths = pathsOf(home)
  mkdirSync(paths.images)
  copyFileSync(await microImage(), join(paths.images, 'micro.qcow2'))
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(home, 'key')])
  const key = readFileSync(join(home, 'key.pub'), 'utf8').trim()
  const prefix = randomBytes(2).toString('hex')
  const options: QemuOptions = { paths, prefix, accel: 'auto', user: 'nobody', network }
  const net = await ownNet()
  const ports = await freePorts(20)
  let count = 0
  return {
    paths,
    options,
    isRouted,
    create: () => createQemuDriver(options),
    spec(overrides = {}) {
      const number = ++count
      return {
        ...newIdentity('instance'),
        number,
        generation: 1,
        hostname: `machine-${number}`,
        vcpus: 1,
        memoryMib: 192,
        diskGib: 1,
        imageDigest: 'micro',
        mac: `52:54:00:00:00:${(16 + number).toString(16)}`,
        ipv4: `${net.ipv4}.${number}`,
        ipv6: `${net.ipv6}:${number}`,
        sshKeys: [key],
        passwordHash: null,
        sshPort: isRouted ? null : (ports[number] ?? null),
        ...overrides,
      }
    },
    async ssh(spec, command, host) {
      const to = isRouted ? (host ?? spec.ipv4!) : '127.0.0.1'
      const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes']
      const args = ['-F', 'none', '-i', join(home, 'key'), '-p', String(isRouted ? 22 : spec.sshPort)].concat(
        options.flatMap((option) => ['-o', option]),
      )
      const { stdout } = await promisify(execFile)('ssh', [...args, `root@${to}`, command], { timeout: 60_000 })
      return stdout.trim()
    },
    async close() {
      const driver = createQemuDriver(options)
      for (const id of (await driver.list()).keys()) await driver.ensureAbsent(id, new AbortController().signal)
      await driver.removeHostParts()
      rmSync(home, { recursive: true, force: true })
      net.release()
    },
  }
}

/** A net where neither another test nor a Havn at work is: those take theirs from 10/8. */
async function ownNet(): Promise<{ ipv4: string; ipv6: string; release(): void }> {
  for (let third = randomInt(256); ; third = (third + 1) % 256) {
    // A name in the abstract namespace has one holder, and is free again when its process ends, however it ends.
    const holder = createServer()
    const isMine = await new Promise<boolean>((resolve) => {
      holder.once('error', () => resolve(false)).listen(`\0havn-test-net-${third}`, () => resolve(true))
    })
    if (!isMine) continue
    const ipv6 = `fd${randomBytes(1).toString('hex')}:${randomInt(1, 9999)}:`
    return { ipv4: `172.30.${third}`, ipv6, release: () => holder.close() }
  }
}

/** Ports of the loopback that nobody holds just now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
