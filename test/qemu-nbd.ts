/** A disk served over NBD by qemu-nbd, as a guest's QEMU serves its exports. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connectNbd } from '../src/lib/nbd.ts'
import { run } from '../src/lib/run.ts'
import { waitFor } from '../src/lib/wait.ts'

export interface NbdServer {
  socket: string
  exportName: string
  stop(): Promise<void>
}

export interface NbdDisk {
  file: string
  format: 'qcow2' | 'raw'
  /** A persistent one in the file. */
  bitmap?: string
}

const EXPORT = 'disk'

/** Ends with the test. The socket's path is the disk's with `.sock`. */
export async function serveDisk(
  t: { after(fn: () => Promise<void>): void },
  { file, format, bitmap }: NbdDisk,
): Promise<NbdServer> {
  const socket = `${file}.sock`
  await rm(socket, { force: true })
  const args = ['-r', '-t', '-e', '8', '-f', format, '-k', socket, '-x', EXPORT]
  const child = spawn('qemu-nbd', [...args, ...(bitmap ? ['-B', bitmap] : []), file], { stdio: 'inherit' })
  const stop = () => end(child)
  t.after(stop)
  if (!(await waitFor(() => existsSync(socket), { timeoutMs: 20_000 }))) throw new Error('qemu-nbd does not start')
  return { socket, exportName: EXPORT, stop }
}

export interface MomentServer extends NbdServer {
  /** What lies beneath the disk. */
  baseExport: string
  /** The disk as a guest has it, from the moment on. */
  guest: string
}

/** The moment of an overlay as a guest's QEMU serves it (exports/live.ts), without a guest. Ends with the test. */
export async function serveMoment(
  t: { after(fn: () => Promise<void>): void },
  { file, base, copy }: { file: string; base: string; copy: string },
): Promise<MomentServer> {
  const socket = `${file}.sock`
  const qcow2 = (filename: string, more: object) => ({ driver: 'qcow2', file: { driver: 'file', filename }, ...more })
  const nodes = [
    qcow2(file, { 'node-name': 'disk', backing: qcow2(base, { 'node-name': 'base' }) }),
    qcow2(copy, { 'node-name': 'copy', backing: null }),
    { driver: 'copy-before-write', 'node-name': 'filter', file: 'disk', target: 'copy' },
    { driver: 'snapshot-access', 'node-name': 'moment', file: 'filter' },
  ]
  const nbd = (node: string, writable: boolean) => ({ type: 'nbd', id: node, 'node-name': node, name: node, writable })
  const exports = [nbd('moment', false), nbd('base', false), nbd('filter', true)]
  const server = ['--nbd-server', JSON.stringify({ addr: { type: 'unix', path: socket }, 'max-connections': 8 })]
  const args = nodes.flatMap((node) => ['--blockdev', JSON.stringify(node)])
  const child = spawn(
    'qemu-storage-daemon',
    [...args, ...server, ...exports.flatMap((one) => ['--export', JSON.stringify(one)])],
    { stdio: 'inherit' },
  )
  const stop = () => end(child)
  t.after(stop)
  const isUp = async () => existsSync(socket) && (await canOpen(socket, 'filter'))
  if (!(await waitFor(isUp, { timeoutMs: 20_000 }))) throw new Error('qemu-storage-daemon does not start')
  return { socket, exportName: 'moment', baseExport: 'base', guest: `nbd+unix:///filter?socket=${socket}`, stop }
}

const canOpen = (socket: string, exportName: string): Promise<boolean> =>
  connectNbd({ socket, exportName }).then(
    (client) => client.close().then(() => true),
    () => false,
  )

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await new Promise((ended) => child.once('exit', ended))
}

/** Writes a byte over and over: `pattern` to `length` bytes at `offset`, as a guest would, bitmaps included. */
export async function writePattern(file: string, offset: number, length: number, pattern: number): Promise<void> {
  await run('qemu-io', ['-f', 'qcow2', '-c', `write -q -P ${pattern} ${offset} ${length}`, file])
}
