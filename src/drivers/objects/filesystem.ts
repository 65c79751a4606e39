/**
 * Blobs as files: `blobs/<1 hex>/<2 hex>/<32 hex>`, named by their random id, so that any number of processes may share
 * the folder without knowing of one another. A file is never renamed or changed once it is finished. What a crash
 * leaves half written has no row and is swept like any other orphan.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, stat, statfs, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncFolder } from '../../lib/files.ts'
import { together } from '../../lib/together.ts'
import { CloudError } from '../../model/errors.ts'
import { ensureLayout } from './filesystem/layout.ts'
import {
  BlobDamaged,
  type BlobId,
  BlobMissing,
  type BlobReader,
  type BlobWriter,
  type ObjectsDriver,
  type StoredBlob,
} from './objects.ts'

export interface FilesystemObjectsOptions {
  folder: string
}

const BLOB_ID = /^[0-9a-f]{32}$/
/** Removals and looks at files at a time: enough for a disk, and threads of the pool left for who serves bodies. */
const AT_ONCE = 8
const SYNC_EARLY_BYTES = 16 * 1024 * 1024

export function createFilesystemObjects({ folder }: FilesystemObjectsOptions): ObjectsDriver {
  const blobs = join(folder, 'blobs')
  const fileOf = (id: BlobId): string => {
    if (!BLOB_ID.test(id)) throw new Error(`${JSON.stringify(id)} cannot name a blob`)
    return join(blobs, id.slice(0, 1), id.slice(1, 3), id)
  }

  return {
    name: 'filesystem',
    abilities: {},
    open: () => translated(() => ensureLayout(folder)),
    async close() {},

    async create(sizeBytes) {
      const id = randomBytes(16).toString('hex')
      const file = fileOf(id)
      const { O_CREAT, O_EXCL, O_WRONLY } = constants
      const handle = await translated(() => open(file, O_CREAT | O_EXCL | O_WRONLY, 0o600))
      return createWriter(id, file, handle, sizeBytes)
    },

    async read(id, start, length) {
      const handle = await translated(() => open(fileOf(id), constants.O_RDONLY)).catch((error) => {
        throw isErrno(error.cause, 'ENOENT') ? new BlobMissing(id, error) : error
      })
      try {
        const { size } = await translated(() => handle.stat())
        if (size < start + length) throw new BlobDamaged(id, `has ${size} bytes, not ${start + length}`)
      } catch (error) {
        await handle.close()
        throw error
      }
      return createReader(id, handle, start, length)
    },

    async remove(ids) {
      await eachAtOnce(ids, (id) =>
        translated(() => unlink(fileOf(id))).catch((error) => {
          if (!isErrno(error.cause, 'ENOENT')) throw error
        }),
      )
    },

    async *list(signal) {
      for (const first of await namesIn(blobs)) {
        const leaves = await namesIn(join(blobs, first))
        for (let at = 0; at < leaves.length; at += AT_ONCE) {
          signal?.throwIfAborted()
          const found = await Promise.all(
            leaves.slice(at, at + AT_ONCE).map(async (second) => {
              const names = await namesIn(join(blobs, first, second))
              return names.filter((name) => BLOB_ID.test(name) && name.startsWith(first + second))
            }),
          )
          for (const ids of found) yield* await look(ids)
        }
      }
    },

    async freeBytes() {
      const { bavail, bsize } = await translated(() => statfs(folder))
      return bavail * bsize
    },
  }

  async function look(ids: readonly BlobId[]): Promise<StoredBlob[]> {
    if (ids.length === 0) return []
    const found: StoredBlob[] = []
    await eachAtOnce(ids, async (id) => {
      const facts = await stat(fileOf(id)).catch((error) => {
        if (!isErrno(error, 'ENOENT')) throw error
      })
      if (facts?.isFile()) found.push({ id, sizeBytes: facts.size, modifiedAt: facts.mtime })
    })
    return found
  }
}

function createWriter(id: BlobId, file: string, handle: FileHandle, sizeBytes: number | null): BlobWriter {
  let written = 0
  let isFinished = false
  let startedSyncAt = 0
  let isSyncing = false
  /** Rejects for good when one sync failed: the system tells of a page that it lost only once. */
  let synced: Promise<void> = Promise.resolve()

  /** A long blob goes to the disk while it comes in, so that its end does not wait for all of it. */
  function syncEarly(): void {
    if (isSyncing || written - startedSyncAt < SYNC_EARLY_BYTES) return
    startedSyncAt = written
    isSyncing = true
    synced = together(synced, handle.datasync()).then(() => {
      isSyncing = false
    })
    synced.catch(() => {}) // `finish` throws it
  }

  return {
    id,
    async write(bytes) {
      if (sizeBytes !== null && written + bytes.length > sizeBytes) throw new Error(`blob ${id} exceeds its size`)
      for (let at = 0; at < bytes.length; ) {
        // A disk that fills up takes a part and refuses the rest at the next try.
        const { bytesWritten } = await translated(() => handle.write(bytes, at, bytes.length - at, written + at))
        at += bytesWritten
      }
      written += bytes.length
      syncEarly()
    },
    async finish() {
      if (sizeBytes !== null && written !== sizeBytes)
        throw new Error(`blob ${id} has ${written} of ${sizeBytes} bytes`)
      // Side by side: on a journalling file system both then wait for the same commit.
      await translated(() => together(synced, handle.datasync(), syncFolder(dirname(file))))
      await translated(() => handle.close())
      isFinished = true
    },
    async discard() {
      if (isFinished) return
      await handle.close().catch(() => {})
      await unlink(file).catch(() => {}) // else it is an orphan, and swept
    },
  }
}

function createReader(id: BlobId, handle: FileHandle, start: number, length: number): BlobReader {
  const end = start + length
  let position = start
  return {
    async read(into) {
      const wanted = Math.min(into.length, end - position)
      let filled = 0
      while (filled < wanted) {
        const { bytesRead } = await translated(() => handle.read(into, filled, wanted - filled, position))
        if (bytesRead === 0) throw new BlobDamaged(id, `ends at ${position}, not at ${end}`)
        filled += bytesRead
        position += bytesRead
      }
      return filled
    },
    async close() {
      await handle.close().catch(() => {})
    },
  }
}

/** What the system refuses, as an error of the cloud: nothing that a caller could have done otherwise. */
async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (error instanceof CloudError || code === undefined) throw error
    const isFull = code === 'ENOSPC' || code === 'EDQUOT'
    const message = isFull ? 'the object store is full' : `the disk of the object store failed (${code})`
    throw new CloudError('unavailable', message, { cause: error })
  }
}

const namesIn = (path: string) => translated(() => readdir(path))
const isErrno = (error: unknown, code: string) => (error as NodeJS.ErrnoException | undefined)?.code === code

/** A few at a time; goes through all of them and then throws what failed first. */
async function eachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  const errors: unknown[] = []
  const walk = async () => {
    for (const item of left) await work(item).catch((error) => errors.push(error))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, walk))
  if (errors.length > 0) throw errors[0]
}
