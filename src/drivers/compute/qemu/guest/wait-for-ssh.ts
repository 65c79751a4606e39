/** Where an instance's SSH server is looked for: on its own address, or behind QEMU's user-mode forward. */
import type { InstanceSpec } from '../../compute.ts'
import { filesFor, type QemuContext } from '../context.ts'
import type { Qmp } from '../qmp.ts'
import { readRecord } from '../record.ts'
import { waitForBanner } from './ssh.ts'

export async function waitForSsh(
  context: QemuContext,
  spec: InstanceSpec,
  waitMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const { monitors } = context
  const record = await readRecord(filesFor(context, spec.id))
  // Without its tap the address would be looked for in the outside world.
  if (!record?.process) return false
  if (record.net === 'tap') {
    const address = spec.ipv4 ?? spec.ipv6
    return address !== null && waitForBanner({ host: address, port: 22, forward: null }, waitMs, signal)
  }
  if (spec.sshPort === null) return false
  const { id, sshPort } = spec
  const forward = {
    isUp: () => monitors.use(id, isInterfaceUp).catch(() => false),
    isTaken: () => monitors.use(id, (qmp) => isForwardTaken(qmp, sshPort)),
  }
  return waitForBanner({ host: '127.0.0.1', port: sshPort, forward }, waitMs, signal)
}

/** A guest that switches its interface on joins multicast groups (all hosts, all nodes), which its driver tells the NIC. */
async function isInterfaceUp(qmp: Qmp): Promise<boolean> {
  const [filter] = await qmp.execute<{ 'multicast-table': string[] }[]>('query-rx-filter', { name: 'nic0' })
  return (filter?.['multicast-table'].length ?? 0) > 0
}

/** slirp's table has a line a connection: `TCP[ESTABLISHED] fd source port destination port …`. */
async function isForwardTaken(qmp: Qmp, sshPort: number): Promise<boolean> {
  const table = await qmp.execute<string>('human-monitor-command', { 'command-line': 'info usernet' })
  return new RegExp(`TCP\\[ESTABLISHED\\]\\s+\\d+\\s+\\S+\\s+${sshPort}\\s`).test(table)
}
