/** Runs the texts of network.ts on this host, and finds out whether they can be run at all. */
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { together } from '../../../../lib/together.ts'
import { run } from '../host/command.ts'
import {
  elementsRemoval,
  elementsText,
  type TapSpec,
  tableRemoval,
  tableText,
  tapConfiguration,
  tapCreation,
} from './network.ts'

export interface NetworkAbility {
  mode: 'routed' | 'user'
  ipv6: boolean
  /** Private addresses reach the outside through the host's own. */
  nat: boolean
  /** Why only user mode; empty when routed. */
  reason: string
}

/** Prepares the host for taps by doing it: table, forwarding, and one tap made and removed again. */
export async function prepareNetwork(prefix: string, uid: number): Promise<NetworkAbility> {
  const none = (reason: string): NetworkAbility => ({ mode: 'user', ipv6: false, nat: false, reason })
  if (process.getuid!() !== 0) return none('not started as root')
  const ipv6 = (await readSetting('net/ipv6/conf/all/disable_ipv6')) === '0'
  const scratch: TapSpec = { tap: `hv${prefix}test`, id: 'test', mac: '', ipv4: null, ipv6: null }
  try {
    await removeInterface(scratch.tap)
    await ipBatch(tapCreation(scratch, uid))
    const addresses = { ...scratch, ipv4: '169.254.0.2', ipv6: ipv6 ? 'fe80::2' : null, mac: '02:00:00:00:00:01' }
    await ipBatch(tapConfiguration(addresses).replaceAll(/^route .*\n/gm, ''))
    await removeInterface(scratch.tap)
    await openTunDevice()
    const nat = await applyTable(prefix, ipv6)
    await enableForwarding(ipv6)
    return { mode: 'routed', ipv6, nat, reason: '' }
  } catch (error) {
    await removeInterface(scratch.tap).catch(() => {})
    return none((error as Error).message)
  }
}

/**
 * QEMU, unprivileged, opens the device itself to get at its tap. udev makes it 0666 everywhere, since the kernel asks
 * for the interface's owner or CAP_NET_ADMIN anyway; a host without udev has it 0600 and gets the same.
 */
async function openTunDevice(): Promise<void> {
  const device = '/dev/net/tun'
  if (((await stat(device)).mode & 0o006) !== 0o006) await chmod(device, 0o666)
}

/** With as much address translation as the kernel can do; false = none. */
async function applyTable(prefix: string, ipv6: boolean): Promise<boolean> {
  for (const [nat4, nat6] of [
    [true, ipv6],
    [true, false],
    [false, false],
  ] as const) {
    try {
      await nft(tableText(prefix, { ipv6, nat4, nat6 }))
      return nat4
    } catch (error) {
      if (!nat4) throw error
    }
  }
  return false
}

async function enableForwarding(ipv6: boolean): Promise<void> {
  if ((await readSetting('net/ipv4/ip_forward')) === '0') await writeSetting('net/ipv4/ip_forward', '1')
  if (!ipv6 || (await readSetting('net/ipv6/conf/all/forwarding')) !== '0') return
  // A forwarding host ignores router advertisements unless accept_ra is 2: the host's own uplink may live on them.
  for (const name of await readdir('/proc/sys/net/ipv6/conf')) {
    const setting = `net/ipv6/conf/${name}/accept_ra`
    if ((await readSetting(setting)) === '1') await writeSetting(setting, '2')
  }
  await writeSetting('net/ipv6/conf/all/forwarding', '1')
}

/** A new tap for a process that is about to start; one that a dead process left is made anew. */
export async function makeTap(prefix: string, spec: TapSpec, uid: number): Promise<void> {
  await removeInterface(spec.tap)
  // Nobody can send yet, so the rules need not be there first.
  await together(nft(elementsText(prefix, [spec])), ipBatch(tapCreation(spec, uid) + tapConfiguration(spec)))
  await harden(spec)
}

/** Rules and routes of instances that run already, in case somebody flushed them meanwhile. */
export async function repairTaps(prefix: string, specs: readonly TapSpec[]): Promise<void> {
  if (specs.length === 0) return
  await nft(elementsText(prefix, specs))
  await ipBatch(specs.map(tapConfiguration).join(''))
}

export async function removeTap(prefix: string, spec: TapSpec): Promise<void> {
  await removeInterface(spec.tap)
  await nft(elementsRemoval(prefix, spec))
}

/** Everything of this Havn: interfaces and table. Forwarding stays on, others may rely on it by now. */
export async function removeNetwork(prefix: string): Promise<void> {
  if (process.getuid!() !== 0) return
  for (const name of await tapsOf(prefix)) await removeInterface(name)
  await nft(tableRemoval(prefix))
}

export async function tapsOf(prefix: string): Promise<string[]> {
  return (await readdir('/sys/class/net')).filter((name) => name.startsWith(`hv${prefix}`))
}

/** The instance a tap was made for. */
export async function aliasOf(tap: string): Promise<string | null> {
  const alias = await readFile(`/sys/class/net/${tap}/ifalias`, 'utf8').catch(() => '')
  return /^havn:(\S+)/.exec(alias)?.[1] ?? null
}

/** The elements of our sets, as `set element`; empty when there is no table. */
export async function listElements(prefix: string): Promise<string[]> {
  interface NftSet {
    set?: { name: string; elem?: (string | { concat: string[] })[] }
  }
  const text = await run('nft', ['-j', 'list', 'table', 'inet', `hv${prefix}`]).catch(() => '{"nftables":[]}')
  const { nftables } = JSON.parse(text) as { nftables: NftSet[] }
  return nftables.flatMap(({ set }) =>
    (set?.elem ?? []).map((e) => `${set!.name} ${typeof e === 'string' ? e : e.concat.join(' ')}`),
  )
}

/** Second defence behind the table: a source must be routed back through the tap; the guest teaches the host nothing. */
async function harden({ tap, ipv6 }: TapSpec): Promise<void> {
  await writeSetting(`net/ipv4/conf/${tap}/rp_filter`, '1')
  await writeSetting(`net/ipv4/conf/${tap}/accept_redirects`, '0')
  await writeSetting(`net/ipv4/conf/${tap}/send_redirects`, '0')
  if (!ipv6) return
  await writeSetting(`net/ipv6/conf/${tap}/accept_ra`, '0')
  await writeSetting(`net/ipv6/conf/${tap}/accept_redirects`, '0')
}

async function removeInterface(name: string): Promise<void> {
  if (!(await readdir('/sys/class/net')).includes(name)) return
  await run('ip', ['link', 'delete', 'dev', name])
}

const nft = (text: string) => run('nft', ['-f', '-'], { input: text })
const ipBatch = (text: string) => (text === '' ? Promise.resolve('') : run('ip', ['-batch', '-'], { input: text }))

const readSetting = (name: string) =>
  readFile(`/proc/sys/${name}`, 'utf8').then(
    (text) => text.trim(),
    () => null,
  )
const writeSetting = (name: string, value: string) => writeFile(`/proc/sys/${name}`, value)
