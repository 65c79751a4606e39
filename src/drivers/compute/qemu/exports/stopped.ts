/**
 * The export of an instance that has no process: a qemu-nbd that reads the disk, as QEMU's own user, in a session of
 * its own. It holds no lock that a starting QEMU would respect for long: whoever wants the disk ends it first
 * (`endExports`), because power never waits for a backup.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { chown, mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { identityOf, isAlive, type ProcessIdentity, signalProcess } from '../../../../lib/process-identity.ts'
import { waitFor } from '../../../../lib/wait.ts'
import { CloudError } from '../../../../model/errors.ts'
import type { InstanceId } from '../../../../model/ids.ts'
import { filesFor, isThere, type QemuContext } from '../context.ts'
import type { Owner } from '../host/process.ts'
import { readLogTail } from '../log.ts'
import type { InstanceFiles } from '../record.ts'
import { addStoredMark, readStoredDisk, removeStoredMarks } from './marks.ts'
import { exportFilesOf, type OpenedExport } from './notes.ts'

const START_MS = 10_000 // it answers within 20 ms on an idle host
const EXIT_MS = 5_000
const READERS_MAX = 16

export interface StoppedInput {
  id: InstanceId
  generation: number
  name: string
  changedSince: string | null
  /** It should be running, and is not: its disk is as after a power cut. */
  hasCrashed: boolean
  signal: AbortSignal
}

export async function openStopped(context: QemuContext, input: StoppedInput): Promise<OpenedExport> {
  const { id, name, hasCrashed, signal } = input
  const files = filesFor(context, id)
  const disk = files.disk(input.generation)
  if (!(await isThere(disk))) {
    throw new CloudError('conflict', `the instance has no disk of generation ${input.generation}`)
  }
  const { bytes, marks } = await readStoredDisk(disk)
  const base = marks.find((mark) => mark.name === input.changedSince && mark.isSound)?.name ?? null
  await removeStoredMarks(disk, (mark) => mark.name === name || !mark.isSound)
  await addStoredMark(disk, name)
  signal.throwIfAborted()
  const pointAt = new Date().toISOString()
  const server = await startServer(
    files,
    nbdArgs(exportFilesOf(files).socket, disk, name, base),
    await context.findOwner(),
  )
  return {
    server,
    diskBytes: bytes,
    pointAt,
    consistency: hasCrashed ? 'crash' : 'off',
    consistencyReason: hasCrashed ? 'the instance crashed and was not started since' : null,
    frozenMs: null,
    changes: base,
    hasBase: false, // qemu-nbd looks through all layers
  }
}

/** qemu-nbd(8). The format is told, never guessed. */
export const nbdArgs = (socket: string, disk: string, name: string, bitmap: string | null): string[] => [
  '--read-only',
  '--format=qcow2',
  '--persistent',
  `--shared=${READERS_MAX}`,
  `--export-name=${name}`,
  ...(bitmap === null ? [] : [`--bitmap=${bitmap}`]),
  `--socket=${socket}`,
  disk,
]

async function startServer(files: InstanceFiles, args: string[], owner: Owner | null): Promise<ProcessIdentity> {
  const { socket, log } = exportFilesOf(files)
  await mkdir(files.run, { recursive: true, mode: 0o700 })
  if (owner) await chown(files.run, owner.uid, owner.gid)
  await rm(socket, { force: true })
  const output = openSync(log, 'a', 0o600)
  const child = spawn('qemu-nbd', args, {
    detached: true,
    cwd: '/',
    stdio: ['ignore', output, output],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    ...(owner ?? {}),
  })
  closeSync(output)
  child.unref()
  let failure: string | null = null
  child.on('error', (error) => {
    failure = error.message
  })
  child.on('exit', (status, signal) => {
    failure = `ended with ${signal ?? status}`
  })
  const answers = await waitFor(async () => failure !== null || (await accepts(socket)), {
    timeoutMs: START_MS,
    everyMs: 10,
  })
  const identity = child.pid === undefined ? null : identityOf(child.pid)
  if (!answers || failure !== null || !identity) {
    const words = (await readLogTail(log, 500)).toString().trim()
    throw new CloudError('unavailable', `qemu-nbd did not start: ${words || (failure ?? 'no answer')}`)
  }
  return identity
}

const accepts = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path)
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', () => end(true))
    socket.on('error', () => end(false))
  })

/** Ends whatever serves the instance's disk, noted or not. */
export async function closeStopped(context: QemuContext, id: InstanceId): Promise<void> {
  await endServers((await findServers(context)).filter(({ instanceId }) => instanceId === id))
}

export async function endServers(servers: readonly ExportServer[]): Promise<void> {
  for (const { server } of servers) {
    signalProcess(server, 'SIGKILL') // it only reads
    if (!(await waitFor(() => !isAlive(server), { timeoutMs: EXIT_MS, everyMs: 5 }))) {
      throw new CloudError('unavailable', `process ${server.pid} does not end`)
    }
  }
}

export interface ExportServer {
  server: ProcessIdentity
  instanceId: InstanceId
}

/** All qemu-nbd of this Havn, found by their socket; they must run as QEMU's user, so nobody can pose as one. */
export async function findServers(context: QemuContext): Promise<ExportServer[]> {
  const owner = await context.findOwner()
  const uid = owner?.uid ?? process.getuid!()
  const prefix = `--socket=${context.options.paths.run}/`
  const found: ExportServer[] = []
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const argv = readArgv(name)
    const word = /(^|\/)qemu-nbd$/.test(argv[0] ?? '') ? argv.find((one) => one.startsWith(prefix)) : undefined
    if (!word || statSync(`/proc/${name}`, { throwIfNoEntry: false })?.uid !== uid) continue
    const server = identityOf(Number(name))
    const instanceId = word.slice(prefix.length).split('/')[0] as InstanceId
    if (server) found.push({ server, instanceId })
  }
  return found
}

function readArgv(pid: string): string[] {
  try {
    return readFileSync(join('/proc', pid, 'cmdline'), 'utf8').split('\0')
  } catch {
    return []
  }
}
