/**
 * Instances as QEMU processes on this host. Every verb reads what is there (the notes, the process, QMP), acts on the
 * difference, and can be interrupted anywhere: notes are written before the thing, names come from the instance's id,
 * and a process that nobody noted down is found by its uuid. One verb at a time per instance; instances do not wait for
 * each other.
 */
import { chmod, mkdir, open as openFile, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Paths } from '../../../lib/paths.ts'
import { CloudError } from '../../../model/errors.ts'
import { type InstanceId, uuidOfId } from '../../../model/ids.ts'
import type { ComputeDriver, HostResource, InstanceSpec, Observation } from '../compute.ts'
import { type Accel, chooseAccel, withKvmGroup } from './accel.ts'
import { qemuArgs, SOCKETS, tbSizeMib } from './args.ts'
import { type Cgroups, closeCgroups, confine, limitsFor, listGroups, openCgroups, removeGroups } from './cgroup.ts'
import { CommandError } from './command.ts'
import { ensureDisk, growDisk, removeOldGenerations } from './disk.ts'
import { checkReachable, ensureOwner, findNameservers, readCapacity } from './host.ts'
import { boundLog, ensureLog, readLogTail } from './log.ts'
import { createMonitors } from './monitors.ts'
import { routedGuest, type TapSpec, tapName, userGuest, userNet } from './network.ts'
import {
  findMachines,
  identify,
  isAlive,
  kill,
  type Owner,
  type ProcessIdentity,
  spawnQemu,
  startedAt,
  waitForExit,
} from './process.ts'
import { type Qmp, QmpGone } from './qmp.ts'
import { filesOf, type InstanceRecord, idsIn, makeRunFolder, readRecord, writeRecord } from './record.ts'
import { type SeedInput, writeSeed } from './seed.ts'
import { waitForBanner } from './ssh.ts'
import { BALLOON, BALLOON_POLL_SECONDS, type CpuSample, measure } from './stats.ts'
import {
  aliasOf,
  listElements,
  makeTap,
  type NetworkAbility,
  prepareNetwork,
  removeNetwork,
  removeTap,
  repairTaps,
  tapsOf,
} from './tap.ts'

export interface QemuOptions {
  paths: Pick<Paths, 'home' | 'images' | 'instances' | 'run'>
  /** Four hex digits that keep two Havns on one machine apart. */
  prefix: string
  accel: 'auto' | 'kvm' | 'tcg'
  /** The unprivileged system user QEMU runs as when we are root. */
  user?: string
  /** `user`: no taps even as root. */
  network?: 'auto' | 'user'
  /** What guests ask for names; default: the host's own. */
  nameservers?: string[]
  binary?: string
}

/** Beyond the interface: what belongs to the host and not to one instance. */
export interface QemuDriver extends ComputeDriver {
  /** The network table, interfaces and empty control groups of this Havn; call it when no instance runs any more. */
  removeHostParts(): Promise<void>
}

const START_MS = 15_000 // QMP answers 30 ms after the start on an idle host; a swapping one takes its time
const QUIT_MS = 3_000 // for writing caches back, before SIGKILL
const LOG_CHECK_MS = 10_000
const BOOTS_PER_CORE_KVM = 8

export function createQemuDriver(options: QemuOptions): QemuDriver {
  const { paths, prefix, binary = 'qemu-system-x86_64', user = 'havn-qemu' } = options
  const files = (id: InstanceId) => filesOf(paths, id)
  const listeners = new Set<(id: InstanceId) => void>()
  const notify = (id: InstanceId) => {
    for (const listener of listeners) listener(id)
  }
  const monitors = createMonitors({ runOf: (id) => files(id).run, onEvent: notify, onLost: (id) => void lost(id) })
  const exclusively = createLocks()
  const cpuSamples = new Map<InstanceId, CpuSample>()
  const confined = new Map<InstanceId, string[]>()
  let host: { accel: Accel; network: NetworkAbility; cgroups: Cgroups; nameservers: string[] } | null = null
  let logTimer: NodeJS.Timeout | null = null
  let ownerPromise: Promise<Owner | null> | null = null

  const findUser = () => {
    ownerPromise ??= ensureOwner(user).catch((error) => {
      ownerPromise = null
      throw error
    })
    return ownerPromise
  }
  const machines = async () => {
    const owner = await findUser()
    return findMachines(owner?.uid ?? process.getuid!(), paths.run)
  }
  const getHost = () => {
    if (!host) throw new Error('the compute driver is not open')
    return host
  }

  async function open(): Promise<void> {
    const isRoot = process.getuid!() === 0
    const owner = await findUser()
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
    host = { accel, network, cgroups, nameservers: options.nameservers ?? (await findNameservers()) }
    monitors.own()
    await adoptAll()
    logTimer ??= setInterval(() => void boundLogs(), LOG_CHECK_MS).unref()
  }

  /** Notes down processes that were not noted, connects to all, mends their rules and routes. */
  async function adoptAll(): Promise<void> {
    const running = await machines()
    const taps: TapSpec[] = []
    await Promise.all(
      (await idsIn(paths.instances)).map((id) =>
        exclusively(id, async () => {
          const record = await readRecord(files(id))
          if (!record) return
          const process = await livingProcess(record, running)
          if (!process) return
          await adopt(record, process)
          if (record.net === 'tap') taps.push(tapOf(record))
          await monitors.keep(id).catch(() => {}) // `observe` says that it does not answer
        }),
      ),
    )
    if (getHost().network.mode === 'routed') await repairTaps(prefix, taps)
    await boundLogs()
  }

  async function boundLogs(): Promise<void> {
    for (const id of monitors.ids()) await boundLog(files(id).serial).catch(() => {})
  }

  /** The QMP connection broke: tell, once the process is really gone or has had its time. */
  async function lost(id: InstanceId): Promise<void> {
    const record = await readRecord(files(id)).catch(() => null)
    if (record?.process) await waitForExit(record.process, 2_000).catch(() => false)
    notify(id)
  }

  async function note(record: InstanceRecord, change: Partial<InstanceRecord>): Promise<InstanceRecord> {
    const next = { ...record, ...change }
    if (JSON.stringify(next) !== JSON.stringify(record)) await writeRecord(files(record.id), next)
    return next
  }

  /** The noted process, or one that was started and not noted. */
  async function livingProcess(
    record: Pick<InstanceRecord, 'uuid' | 'process'>,
    running?: Map<string, ProcessIdentity[]>,
  ): Promise<ProcessIdentity | null> {
    if (record.process && (await isAlive(record.process))) return record.process
    return (running ?? (await machines())).get(record.uuid)?.[0] ?? null
  }

  async function adopt(record: InstanceRecord, process: ProcessIdentity): Promise<InstanceRecord> {
    if (record.process?.pid === process.pid && record.startedAt) return record
    return note(record, { process, startedAt: (await startedAt(process)).toISOString() })
  }

  const tapOf = ({ id, number, mac, ipv4, ipv6 }: InstanceRecord): TapSpec => ({
    tap: tapName(prefix, number),
    id,
    mac,
    ipv4,
    ipv6: host && !host.network.ipv6 ? null : ipv6,
  })

  async function ensureRunning(spec: InstanceSpec, signal: AbortSignal): Promise<void> {
    let record = (await readRecord(files(spec.id))) ?? newRecord(spec)
    const process = await livingProcess(record)
    if (process) {
      record = await note(await adopt(record, process), { wanted: 'running' })
      if (record.generation === spec.generation && (await goOn(spec.id))) return
      await endProcess(record)
      record = await note(record, { process: null, startedAt: null })
    }
    signal.throwIfAborted()
    await start(spec, record, signal)
  }

  /** True when the vCPUs run now; false when this process will never run a guest again. */
  async function goOn(id: InstanceId): Promise<boolean> {
    return answering(id, async (qmp) => {
      const { status } = await qmp.execute<{ status: string }>('query-status')
      const power = POWER[status] ?? 'running'
      if (power === 'off' || status === 'guest-panicked' || status === 'internal-error') return false
      if (RESUMABLE.has(status)) await qmp.execute('cont')
      return true
    })
  }

  async function start(spec: InstanceSpec, old: InstanceRecord, signal: AbortSignal): Promise<void> {
    const { accel, network, nameservers } = getHost()
    const owner = await findUser()
    const at = files(spec.id)
    const disk = at.disk(spec.generation)
    if (!(await isThere(disk))) {
      throw new CloudError('conflict', `the instance has no disk of generation ${spec.generation}`)
    }
    if (old.net === 'tap' && network.mode === 'routed') await removeTap(prefix, tapOf(old))
    const record = await note(old, {
      ...newRecord(spec),
      wanted: old.wanted,
      net: network.mode === 'routed' ? 'tap' : 'user',
    })
    await growDisk(disk, spec.diskGib, signal)
    await writeSeed(at.seed(spec.generation), seedInput(spec, record, nameservers), owner ?? undefined)
    await ensureLog(at.serial, owner)
    await makeRunFolder(at, owner)
    const tap = tapOf(record)
    if (record.net === 'tap') {
      await makeTap(prefix, tap, owner?.uid ?? process.getuid!()).catch((error) => {
        throw new CloudError('unavailable', `the network of the instance could not be made: ${error.message}`, {
          cause: error,
        })
      })
    }
    signal.throwIfAborted()
    const args = qemuArgs({
      id: spec.id,
      uuid: spec.uuid,
      vcpus: spec.vcpus,
      memoryMib: spec.memoryMib,
      mac: spec.mac,
      accel: accel.kind,
      disk,
      seed: at.seed(spec.generation),
      run: at.run,
      serialLog: at.serial,
      net: record.net === 'tap' ? { kind: 'tap', tap: tap.tap } : { kind: 'user', ...userNet(spec.ipv4, spec.sshPort) },
    })
    await launch(record, args, accel.kind === 'kvm' ? await withKvmGroup(owner) : owner, signal)
    await removeOldGenerations(at.folder, spec.generation)
  }

  async function launch(
    record: InstanceRecord,
    args: string[],
    owner: Owner | null,
    signal: AbortSignal,
  ): Promise<void> {
    const { id, uuid } = record
    await rm(files(id).log, { force: true })
    const child = spawnQemu(binary, args, owner, files(id).log)
    let exit: string | null = null
    child.on('error', (error) => {
      exit = error.message
    })
    child.on('exit', (code, killer) => {
      exit = killer ? `killed by ${killer}` : `exit code ${code}`
    })
    const identity = child.pid === undefined ? null : identify(child.pid, uuid)
    if (identity) await note(record, { process: identity, wanted: 'running' })
    try {
      if (identity) await applyLimits(record, identity.pid)
      const qmp = await firstAnswer(id, () => exit, signal)
      await qmp.execute('cont')
      if (identity) await note(record, { process: identity, wanted: 'running', startedAt: new Date().toISOString() })
      await qmp
        .execute('qom-set', { path: BALLOON, property: 'guest-stats-polling-interval', value: BALLOON_POLL_SECONDS })
        .catch(() => {}) // statistics only
    } catch (error) {
      monitors.drop(id)
      if (identity) await kill(identity)
      await note(
        { ...record, process: identity, wanted: 'running' },
        { process: null, startedAt: null, wanted: record.wanted },
      )
      if (signal.aborted || error instanceof CloudError) throw error
      throw new CloudError('unavailable', `QEMU did not start: ${(await lastWords(id)) ?? (error as Error).message}`, {
        cause: error,
      })
    }
  }

  async function applyLimits(record: InstanceRecord, pid: number): Promise<void> {
    const { cgroups, accel } = getHost()
    const limits = limitsFor(record.memoryMib, tbSizeMib(accel.kind, record.memoryMib), record.vcpus)
    confined.set(record.id, await confine(cgroups, prefix, record.id, pid, limits))
  }

  /** Waits for the process to make its sockets. */
  async function firstAnswer(id: InstanceId, ended: () => string | null, signal: AbortSignal): Promise<Qmp> {
    const until = performance.now() + START_MS
    for (;;) {
      signal.throwIfAborted()
      const end = ended()
      if (end !== null) throw new Error(end)
      if (await isThere(join(files(id).run, SOCKETS.qmp))) {
        const qmp = await monitors.keep(id, START_MS).catch((error: unknown) => {
          if (error instanceof QmpGone && performance.now() < until) return null // bound, and not listening yet
          throw error
        })
        if (qmp) return qmp
      }
      if (performance.now() > until) throw new Error(`no answer within ${START_MS} ms`)
      await sleep(3)
    }
  }

  async function ensureStopped(id: InstanceId): Promise<void> {
    const record = await readRecord(files(id))
    const uuid = record?.uuid ?? uuidOfId('instance', id)
    const noted = record && (await note(record, { wanted: 'stopped' }))
    if (uuid) await endProcess(noted ?? { id, uuid, process: null })
    await removeTraces(id, noted)
    if (noted) await note(noted, { process: null, startedAt: null })
  }

  /** `quit` writes the disk's caches back; whatever of this instance is still there then is killed. */
  async function endProcess({ id, uuid, process }: Pick<InstanceRecord, 'id' | 'uuid' | 'process'>): Promise<void> {
    const all = [...((await machines()).get(uuid) ?? [])]
    if (process && (await isAlive(process)) && !all.some(({ pid }) => pid === process.pid)) all.push(process)
    if (all.length > 0) {
      const quitting = monitors.use(id, (qmp) => {
        monitors.release(id) // its end is our own doing, not news
        return qmp.execute('quit', undefined, 1_000)
      })
      await quitting.catch(() => {})
      await Promise.all(all.map((one) => waitForExit(one, QUIT_MS)))
      for (const one of all) await kill(one)
    }
    monitors.drop(id)
    cpuSamples.delete(id)
  }

  /** Interface, rules, limits and sockets of an instance without a process. */
  async function removeTraces(id: InstanceId, record: InstanceRecord | null): Promise<void> {
    if (record?.net === 'tap' && process.getuid!() === 0) await removeTap(prefix, tapOf({ ...record }))
    await removeGroups(host?.cgroups ?? (await openCgroups(prefix)), prefix, id)
    await rm(files(id).run, { recursive: true, force: true })
    confined.delete(id)
  }

  async function observe(id: InstanceId, running?: Map<string, ProcessIdentity[]>): Promise<Observation> {
    const record = await readRecord(files(id))
    const uuid = record?.uuid ?? uuidOfId('instance', id)
    const process = uuid ? await livingProcess({ uuid, process: record?.process ?? null }, running) : null
    if (!process) {
      if (!record) return { power: 'absent', startedAt: null }
      if (record.wanted === 'stopped') return { power: 'stopped', startedAt: null }
      return { power: 'crashed', startedAt: null, detail: (await lastWords(id)) ?? 'its process is gone' }
    }
    const started = record?.startedAt ? new Date(record.startedAt) : await startedAt(process)
    try {
      const { status } = await monitors.use(id, (qmp) => qmp.execute<{ status: string }>('query-status'))
      const power = POWER[status] ?? 'running'
      const detail = status === 'running' ? {} : { detail: status }
      return { power, startedAt: power === 'stopped' ? null : started, ...detail }
    } catch (error) {
      if (!(await isAlive(process))) return observe(id)
      return { power: 'running', startedAt: started, detail: `does not answer: ${(error as Error).message}` }
    }
  }

  async function answering<T>(id: InstanceId, act: (qmp: Qmp) => Promise<T>): Promise<T> {
    try {
      return await monitors.use(id, act)
    } catch (error) {
      if (!(error instanceof QmpGone)) throw error
      throw new CloudError('unavailable', 'the virtual machine monitor does not answer', { cause: error })
    }
  }

  async function lastWords(id: InstanceId): Promise<string | undefined> {
    const text = (await readLogTail(files(id).log, 2_000).catch(() => Buffer.alloc(0))).toString()
    return text.trim().split('\n').at(-1)?.slice(0, 300) || undefined
  }

  async function resources(): Promise<HostResource[]> {
    const ids = await idsIn(paths.instances)
    const records = (await Promise.all(ids.map((id) => readRecord(files(id))))).filter((record) => record !== null)
    const found: HostResource[] = []
    for (const [uuid, identities] of await machines()) {
      const owner = records.find((record) => record.uuid === uuid)?.id ?? null
      for (const { pid } of identities) found.push({ kind: 'process', name: `pid ${pid}`, instanceId: owner })
    }
    for (const id of ids) {
      for (const name of await readdir(files(id).folder)) {
        found.push({ kind: /^\.?disk-/.test(name) ? 'disk' : 'file', name: `${id}/${name}`, instanceId: id })
      }
    }
    for (const id of await idsIn(paths.run)) {
      for (const name of await readdir(files(id).run)) {
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
    for (const id of await listGroups(host?.cgroups ?? (await openCgroups(prefix)), prefix)) {
      found.push({ kind: 'cgroup', name: id, instanceId: id as InstanceId })
    }
    return found
  }

  return {
    name: 'qemu',
    open,
    async close() {
      if (logTimer) clearInterval(logTimer)
      logTimer = null
      monitors.close()
    },

    async hostFacts() {
      const { accel, network, cgroups } = getHost()
      const capacity = await readCapacity(paths.home)
      return {
        ...capacity,
        bootSlots: accel.kind === 'tcg' ? capacity.cores : capacity.cores * BOOTS_PER_CORE_KVM,
        network: network.mode,
        facts: {
          accelerator: accel.kind,
          acceleratorReason: accel.reason || null,
          qemuVersion: accel.version,
          sandbox: 'seccomp',
          runsAs: (await findUser()) ? user : 'the user who started Havn',
          networkReason: network.reason || null,
          ipv6: network.ipv6,
          nat: network.nat,
          cgroupVersion: cgroups.version,
          cgroupControllers: cgroups.controllers.join(' ') || null,
        },
      }
    },

    ensureDisk: (spec, signal) =>
      exclusively(spec.id, async () => {
        if (!spec.imageDigest) throw new CloudError('invalid', 'the instance has no image to start from')
        if (!(await readRecord(files(spec.id)))) await writeRecord(files(spec.id), newRecord(spec))
        await ensureDisk({
          file: files(spec.id).disk(spec.generation),
          base: join(paths.images, `${spec.imageDigest}.qcow2`),
          sizeGib: spec.diskGib,
          owner: await findUser(),
          signal,
        })
      }),

    ensureRunning: (spec, signal) => exclusively(spec.id, () => ensureRunning(spec, signal).catch(mended)),

    async requestShutdown(id) {
      if ((await observe(id)).power !== 'running') return
      await answering(id, (qmp) => qmp.execute('system_powerdown'))
    },

    ensureStopped: (id) => exclusively(id, () => ensureStopped(id).catch(mended)),

    ensureAbsent: (id) =>
      exclusively(id, async () => {
        await ensureStopped(id).catch(mended)
        await rm(files(id).folder, { recursive: true, force: true })
      }),

    forgetSecrets: (spec) =>
      exclusively(spec.id, async () => {
        const record = await readRecord(files(spec.id))
        const seed = files(spec.id).seed(spec.generation)
        if (!record || !(await isThere(seed))) return
        const nameservers = host?.nameservers ?? options.nameservers ?? (await findNameservers())
        const input = seedInput({ ...spec, passwordHash: null }, record, nameservers)
        await writeSeed(`${seed}.new`, input, (await findUser()) ?? undefined)
        await overwrite(seed, await readFile(`${seed}.new`))
        await rm(`${seed}.new`)
      }),

    async waitForSsh(spec, waitMs, signal) {
      const record = await readRecord(files(spec.id))
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
      return waitForBanner({ host: '127.0.0.1', port: spec.sshPort, forward }, waitMs, signal)
    },

    observe: (id) => observe(id),

    async list() {
      const running = await machines()
      const ids = await idsIn(paths.instances)
      return new Map(await Promise.all(ids.map(async (id) => [id, await observe(id, running)] as const)))
    },

    async stats(id) {
      const record = await readRecord(files(id))
      if (!record?.process || !(await isAlive(record.process))) return null
      const input = {
        pid: record.process.pid,
        vcpus: record.vcpus,
        memoryMib: record.memoryMib,
        tap: record.net === 'tap' ? tapName(prefix, record.number) : null,
        agentSocket: join(files(id).run, SOCKETS.agent),
        previous: cpuSamples.get(id),
      }
      const { power } = await observe(id)
      if (power !== 'running') return null
      const { stats, cpu } = await monitors
        .use(id, (qmp) => measure({ ...input, qmp }))
        .catch(() => measure({ ...input, qmp: null }))
      if (cpu) cpuSamples.set(id, cpu)
      return stats
    },

    readLog: (id, maxBytes) => readLogTail(files(id).serial, maxBytes),
    resources,
    onChange: (listener) => void listeners.add(listener),

    async removeHostParts() {
      await removeNetwork(prefix)
      await closeCgroups(host?.cgroups ?? (await openCgroups(prefix)), prefix)
    },
  }
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

/** QEMU's run states (qapi/run-state.json); those that are not here are `running`, passing states of a live guest. */
const POWER: Record<string, Observation['power']> = {
  shutdown: 'off',
  'guest-panicked': 'crashed',
  'internal-error': 'crashed',
  'io-error': 'crashed', // the host's disk is full, for example; `cont` goes on where it stopped
  prelaunch: 'stopped', // a start that was cut off before `cont`
}
const RESUMABLE = new Set(['prelaunch', 'paused', 'io-error', 'watchdog'])

const newRecord = (spec: InstanceSpec): InstanceRecord => ({
  id: spec.id,
  uuid: spec.uuid,
  number: spec.number,
  generation: spec.generation,
  vcpus: spec.vcpus,
  memoryMib: spec.memoryMib,
  mac: spec.mac,
  ipv4: spec.ipv4,
  ipv6: spec.ipv6,
  wanted: 'stopped',
  net: null,
  process: null,
  startedAt: null,
})

const seedInput = (spec: InstanceSpec, { net }: InstanceRecord, nameservers: string[]): SeedInput => ({
  instanceId: `${spec.id}-g${spec.generation}`,
  hostname: spec.hostname,
  sshKeys: spec.sshKeys,
  passwordHash: spec.passwordHash,
  network: net === 'user' ? userGuest(spec.mac, userNet(spec.ipv4, null)) : routedGuest(spec, nameservers),
})

/** A host program that failed may well succeed next time; one that is missing can be installed. */
function mended(error: unknown): never {
  if (!(error instanceof CommandError)) throw error
  throw new CloudError('unavailable', error.message, { cause: error })
}

/** One at a time per key, in the order of asking. */
function createLocks() {
  const tails = new Map<string, Promise<unknown>>()
  return async <T>(key: string, act: () => Promise<T>): Promise<T> => {
    const before = tails.get(key) ?? Promise.resolve()
    const mine = before.then(act, act)
    const tail = mine.catch(() => {})
    tails.set(key, tail)
    void tail.then(() => tails.get(key) === tail && tails.delete(key))
    return mine
  }
}

/** In place: a running QEMU holds the file open, and would go on showing its guest one that was replaced. */
async function overwrite(file: string, content: Buffer): Promise<void> {
  const handle = await openFile(file, 'r+')
  try {
    await handle.write(content, 0, content.length, 0)
    await handle.truncate(content.length)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )
