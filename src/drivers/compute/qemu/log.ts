/**
 * The serial console's log: QEMU appends to one file, and we keep that bounded by copying it away and emptying it (it
 * is open for appending, so it goes on at the new end). What the guest writes between copy and emptying is lost: some
 * bytes of a chatty guest, for a file that never grows past its bound while somebody watches.
 */
import { chown, copyFile, open, stat, truncate } from 'node:fs/promises'
import type { Owner } from './host/process.ts'

const LOG_BYTES_MAX = 2 << 20 // two files of it: 4 MiB an instance

const older = (file: string) => `${file}.1`

/** Exists and belongs to the one who appends. */
export async function ensureLog(file: string, owner: Owner | null): Promise<void> {
  await (await open(file, 'a', 0o600)).close()
  if (owner) await chown(file, owner.uid, owner.gid)
}

export async function boundLog(file: string, maxBytes = LOG_BYTES_MAX): Promise<void> {
  const size = await sizeOf(file)
  if (size <= maxBytes) return
  if (size <= 2 * maxBytes) await copyFile(file, older(file))
  else await copyTail(file, older(file), maxBytes) // it grew while nobody watched
  await truncate(file, 0)
}

/** The last `maxBytes` of both files. */
export async function readLogTail(file: string, maxBytes: number): Promise<Buffer> {
  const newest = await tail(file, maxBytes)
  if (newest.length >= maxBytes) return newest
  return Buffer.concat([await tail(older(file), maxBytes - newest.length), newest])
}

async function copyTail(from: string, to: string, bytes: number): Promise<void> {
  const handle = await open(to, 'w', 0o600)
  try {
    await handle.writeFile(await tail(from, bytes))
  } finally {
    await handle.close()
  }
}

async function tail(file: string, bytes: number): Promise<Buffer> {
  const size = await sizeOf(file)
  const length = Math.max(0, Math.min(size, Math.floor(bytes)))
  if (length === 0) return Buffer.alloc(0)
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

const sizeOf = (file: string) =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  )
