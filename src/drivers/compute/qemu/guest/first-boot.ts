/** What a new guest is told at its first boot, and how its secrets are taken out of the seed afterwards. */
import { open, readFile, rm } from 'node:fs/promises'
import type { InstanceSpec } from '../../compute.ts'
import { filesFor, isThere, type QemuContext } from '../context.ts'
import { findNameservers } from '../host/host.ts'
import { routedGuest, userGuest, userNet } from '../network/network.ts'
import { type InstanceRecord, readRecord } from '../record.ts'
import { type SeedInput, writeSeed } from './seed.ts'

export const seedInput = (spec: InstanceSpec, { net }: InstanceRecord, nameservers: string[]): SeedInput => ({
  instanceId: `${spec.id}-g${spec.generation}`,
  hostname: spec.hostname,
  sshKeys: spec.sshKeys,
  passwordHash: spec.passwordHash,
  // An isolated one is told what a forwarded one is: it finds nobody there.
  network:
    net === 'user' || net === 'none' ? userGuest(spec.mac, userNet(spec.ipv4, null)) : routedGuest(spec, nameservers),
})

export async function forgetSecrets(context: QemuContext, spec: InstanceSpec): Promise<void> {
  const record = await readRecord(filesFor(context, spec.id))
  const seed = filesFor(context, spec.id).seed(spec.generation)
  if (!record || !(await isThere(seed))) return
  const nameservers = context.host?.nameservers ?? context.options.nameservers ?? (await findNameservers())
  const input = seedInput({ ...spec, passwordHash: null }, record, nameservers)
  await writeSeed(`${seed}.new`, input, (await context.findOwner()) ?? undefined)
  await overwrite(seed, await readFile(`${seed}.new`))
  await rm(`${seed}.new`)
}

/** In place: a running QEMU holds the file open, and would go on showing its guest one that was replaced. */
async function overwrite(file: string, content: Buffer): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    await handle.write(content, 0, content.length, 0)
    await handle.truncate(content.length)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
