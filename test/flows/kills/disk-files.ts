/** What a file on a disk's root file system holds, without a guest and without a mount. */
import { createHash } from 'node:crypto'
import { open, readFile, rm } from 'node:fs/promises'
import { type Partition, partitionsOf, TABLE_BYTES } from '../../../src/drivers/compute/qemu/guest/partitions.ts'
import { CommandError, run } from '../../../src/drivers/compute/qemu/host/command.ts'

const REPAIRED = 1 // e2fsck(8): what it found it has corrected
const WORK_MS = 120_000

/** SHA-256 of it on a raw disk, whose journal is replayed first, as the next boot would do it. */
export async function digestOfFile(disk: string, path: string): Promise<string> {
  const volume = `${disk}.root`
  const out = `${disk}.file`
  try {
    const { offset, length } = await findRoot(disk)
    const from = `driver=raw,offset=${offset},size=${length},file.driver=file,file.filename=${disk}`
    await run('qemu-img', ['convert', '--image-opts', from, '-O', 'raw', volume], { timeoutMs: WORK_MS })
    await run('e2fsck', ['-f', '-p', volume], { timeoutMs: WORK_MS }).catch((error: unknown) => {
      if (!(error instanceof CommandError) || error.status !== REPAIRED) throw error
    })
    await run('debugfs', ['-R', `dump ${path} ${out}`, volume], { timeoutMs: WORK_MS })
    return createHash('sha256')
      .update(await readFile(out))
      .digest('hex')
  } finally {
    for (const file of [volume, out]) await rm(file, { force: true })
  }
}

/** The largest partition is the root's. */
async function findRoot(disk: string): Promise<Partition> {
  const handle = await open(disk)
  try {
    const { size } = await handle.stat()
    const { buffer } = await handle.read(Buffer.alloc(TABLE_BYTES), 0, TABLE_BYTES, 0)
    const [root] = partitionsOf(buffer, size).sort((a, b) => b.length - a.length)
    return root!
  } finally {
    await handle.close()
  }
}
