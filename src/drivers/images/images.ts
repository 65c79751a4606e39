/** The catalogue's files: read-only qcow2 images named by their sha256, so that a name never changes its content. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFile, syncFolder } from '../../lib/files.ts'
import { CloudError, notFound } from '../../model/errors.ts'

export interface PublishedImage {
  digest: string
  /** Of the file. */
  bytes: number
  /** Of the disk that it holds. */
  virtualBytes: number
}

export interface Images {
  /** Where the image lies or would lie. */
  pathOf(digest: string): string
  /** Moves a finished file, which must be on the same filesystem, to its place. The same content twice is one file. */
  publish(file: string): Promise<PublishedImage>
  has(digest: string): Promise<boolean>
  /** Nothing may use it any more: disks of instances read from it. */
  remove(digest: string): Promise<void>
  list(): Promise<Pick<PublishedImage, 'digest' | 'bytes'>[]>
  /** Reads it all and says whether it is still what its name says. `not_found` when there is none. */
  verify(digest: string): Promise<boolean>
}

const DIGEST = /^[0-9a-f]{64}$/

export function createImages({ folder }: { folder: string }): Images {
  const pathOf = (digest: string): string => {
    if (!DIGEST.test(digest)) throw new CloudError('invalid', `${JSON.stringify(digest)} is no sha256 digest`)
    return join(folder, `${digest}.qcow2`)
  }
  const sizeOf = (digest: string): Promise<number | null> =>
    stat(pathOf(digest)).then(
      (found) => found.size,
      () => null,
    )

  return {
    pathOf,
    async publish(file) {
      await mkdir(folder, { recursive: true })
      const digest = await sha256Of(file)
      await chmod(file, 0o444)
      await syncFile(file)
      await rename(file, pathOf(digest))
      await syncFolder(folder)
      return { digest, bytes: (await stat(pathOf(digest))).size, virtualBytes: await virtualBytesOf(pathOf(digest)) }
    },
    has: async (digest) => (await sizeOf(digest)) !== null,
    async remove(digest) {
      await rm(pathOf(digest), { force: true })
      await syncFolder(folder).catch(() => {}) // there may be no folder yet
    },
    async list() {
      const names = await readdir(folder).catch(() => [])
      const digests = names.filter((name) => name.endsWith('.qcow2') && DIGEST.test(name.slice(0, -6)))
      const found = await Promise.all(
        digests.map(async (name) => ({ digest: name.slice(0, -6), bytes: await sizeOf(name.slice(0, -6)) })),
      )
      return found.flatMap(({ digest, bytes }) => (bytes === null ? [] : [{ digest, bytes }]))
    },
    async verify(digest) {
      if ((await sizeOf(digest)) === null) throw notFound('image file', digest)
      return (await sha256Of(pathOf(digest))) === digest
    },
  }
}

/** The disk's size stands at byte 24 of a qcow2 header (QEMU's docs/interop/qcow2.txt). */
async function virtualBytesOf(file: string): Promise<number> {
  const handle = await open(file, 'r')
  try {
    const { buffer } = await handle.read(Buffer.alloc(8), 0, 8, 24)
    return Number(buffer.readBigUInt64BE())
  } finally {
    await handle.close()
  }
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
