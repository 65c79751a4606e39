/** What the host has and what we hold on it outside the database. */
import { readdir } from 'node:fs/promises'
import type { InstanceId } from '../../../model/ids.ts'
import type { HostFacts, HostResource } from '../compute.ts'
import { cgroupsOf, filesFor, hostOf, type QemuContext } from './context.ts'
import { findWatchdogs } from './exports/freeze.ts'
import { findServers } from './exports/stopped.ts'
import { listGroups } from './host/cgroup.ts'
import { readCapacity } from './host/host.ts'
import { findOurs } from './machine.ts'
import { aliasOf, listElements, tapsOf } from './network/tap.ts'
import { idsIn, readRecord } from './record.ts'

const BOOTS_PER_CORE_KVM = 8

export async function hostFacts(context: QemuContext): Promise<HostFacts> {
  const { accel, network, cgroups } = hostOf(context)
  const capacity = await readCapacity(context.options.paths.home)
  return {
    ...capacity,
    bootSlots: accel.kind === 'tcg' ? capacity.cores : capacity.cores * BOOTS_PER_CORE_KVM,
    network: network.mode,
    facts: {
      accelerator: accel.kind,
      acceleratorReason: accel.reason || null,
      qemuVersion: accel.version,
      sandbox: 'seccomp',
      runsAs: (await context.findOwner()) ? context.user : 'the user who started Havn',
      networkReason: network.reason || null,
      ipv6: network.ipv6,
      nat: network.nat,
      cgroupVersion: cgroups.version,
      cgroupControllers: cgroups.controllers.join(' ') || null,
    },
  }
}

export async function listResources(context: QemuContext): Promise<HostResource[]> {
  const { paths, prefix } = context.options
  const ids = await idsIn(paths.instances)
  const notes = await Promise.all(ids.map((id) => readRecord(filesFor(context, id))))
  const records = notes.filter((record) => record !== null)
  const found: HostResource[] = []
  for (const [uuid, identities] of await findOurs(context)) {
    const owner = records.find((record) => record.uuid === uuid)?.id ?? null
    for (const { pid } of identities) found.push({ kind: 'process', name: `pid ${pid}`, instanceId: owner })
  }
  for (const { server, instanceId } of await findServers(context)) {
    found.push({ kind: 'process', name: `qemu-nbd pid ${server.pid}`, instanceId })
  }
  for (const { pid, instanceId } of await findWatchdogs(context)) {
    found.push({ kind: 'process', name: `freeze watchdog pid ${pid}`, instanceId })
  }
  for (const id of ids) {
    for (const name of await namesIn(filesFor(context, id).folder)) {
      found.push({ kind: /^\.?disk-/.test(name) ? 'disk' : 'file', name: `${id}/${name}`, instanceId: id })
    }
  }
  for (const id of await idsIn(paths.run)) {
    for (const name of await namesIn(filesFor(context, id).run)) {
      found.push({ kind: 'socket', name: `${id}/${name}`, instanceId: id })
    }
  }
  for (const tap of await tapsOf(prefix)) {
    found.push({ kind: 'interface', name: tap, instanceId: (await aliasOf(tap)) as InstanceId | null })
  }
  if (process.getuid!() === 0) {
    for (const element of await listElements(prefix)) {
      const words = element.split(' ')
      const owner = records.find((r) => words.includes(r.ipv4 ?? '-') || words.includes(r.ipv6 ?? '-'))
      found.push({ kind: 'rule', name: element, instanceId: owner?.id ?? null })
    }
  }
  for (const id of await listGroups(await cgroupsOf(context), prefix)) {
    found.push({ kind: 'cgroup', name: id, instanceId: id as InstanceId })
  }
  return found
}

/** None when the instance has just been removed. */
const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
