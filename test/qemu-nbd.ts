/** A disk served over NBD by qemu-nbd, as a guest's QEMU serves its exports. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
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

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await new Promise((ended) => child.once('exit', ended))
}

/** Writes a byte over and over: `pattern` to `length` bytes at `offset`, as a guest would, bitmaps included. */
export async function writePattern(file: string, offset: number, length: number, pattern: number): Promise<void> {
  await run('qemu-io', ['-f', 'qcow2', '-c', `write -q -P ${pattern} ${offset} ${length}`, file])
}
