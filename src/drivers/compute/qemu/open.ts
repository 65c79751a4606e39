/** Getting ready on this host, taking over what still runs on it, and letting go again. */
import { chmod, mkdir } from 'node:fs/promises'
import type { Exclusively } from '../../../lib/locks.ts'
import { CloudError } from '../../../model/errors.ts'
import { cgroupsOf, filesFor, hostOf, type QemuContext } from './context.ts'
import { adoptExport } from './exports/exports.ts'
import { endServers, findServers } from './exports/stopped.ts'
import { chooseAccel } from './host/accel.ts'
import { closeCgroups, openCgroups } from './host/cgroup.ts'
import { checkReachable, findNameservers } from './host/host.ts'
import { boundLog } from './log.ts'
import { adopt, findOurs, livingProcess, tapOf } from './machine.ts'
import type { TapSpec } from './network/network.ts'
import { prepareNetwork, removeNetwork, repairTaps } from './network/tap.ts'
import { idsIn, readRecord } from './record.ts'

/** Folders, accelerator, network and control groups. Throws `unavailable` with what the operator has to mend. */
export async function prepareHost(context: QemuContext): Promise<void> {
  const { options, binary } = context
  const { paths, prefix } = options
  const isRoot = process.getuid!() === 0
  const owner = await context.findOwner()
  for (const folder of [paths.home, paths.instances, paths.run]) {
    await mkdir(folder, { recursive: true })
    if (folder !== paths.home || isRoot) await chmod(folder, isRoot ? 0o711 : 0o700)
  }
  await checkReachable(paths.instances, owner)
  await checkReachable(paths.run, owner)
  const accel = await chooseAccel({ binary, demanded: options.accel, folder: paths.instances, owner })
  const network =
    options.network === 'user'
      ? { mode: 'user' as const, ipv6: false, nat: false, reason: 'set so' }
      : await prepareNetwork(prefix, owner?.uid ?? process.getuid!())
  const cgroups = await openCgroups(prefix)
  context.host = { accel, network, cgroups, nameservers: options.nameservers ?? (await findNameservers()) }
}

/** Notes down processes that were not noted, connects to all, mends their rules and routes. */
export async function adoptAll(context: QemuContext, exclusively: Exclusively): Promise<void> {
  const { monitors, options } = context
  monitors.own()
  const running = await findOurs(context)
  const taps: TapSpec[] = []
  await Promise.all(
    (await idsIn(options.paths.instances)).map((id) =>
      exclusively(id, async () => {
        const record = await readRecord(filesFor(context, id))
        if (!record) return
        const process = await livingProcess(context, record, running)
        // What cannot be settled now is settled by whoever needs it next; a guest that stands still has a watchdog.
        await adoptExport(context, id, process).catch(() => {})
        if (!process) return
        await adopt(context, record, process)
        if (record.net === 'tap') taps.push(tapOf(context, record))
        await monitors.keep(id).catch(() => {}) // `observe` says that it does not answer
      }),
    ),
  )
  if (hostOf(context).network.mode === 'routed') await repairTaps(options.prefix, taps)
}

/** Only while a driver is open: nobody else watches, so a guest that chatters during an outage is cut after it. */
export async function boundLogs(context: QemuContext): Promise<void> {
  for (const id of context.monitors.ids()) await boundLog(filesFor(context, id).serial).catch(() => {})
}

/** Also the interface and the control group of an instance that crashed and was not stopped since. */
export async function removeHostParts(context: QemuContext): Promise<void> {
  const { prefix } = context.options
  const running = (await findOurs(context)).size
  if (running > 0) throw new CloudError('conflict', `the host's network is in use by ${running} running instances`)
  await endServers(await findServers(context)) // of disks whose instances are stopped
  await removeNetwork(prefix)
  await closeCgroups(await cgroupsOf(context), prefix)
}
