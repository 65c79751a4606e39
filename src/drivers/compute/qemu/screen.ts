/** What a machine's screen shows, as a picture. */
import { chown, constants, type FileHandle, open, rm } from 'node:fs/promises'
import type { InstanceId } from '../../../model/ids.ts'
import { filesFor, type QemuContext } from './context.ts'
import { observe } from './observe.ts'
import { QmpError } from './qmp.ts'

/** A full-HD screen of noise has 6 MB; what is more is no screen. */
const BYTES_MAX = 8 << 20
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const SCREENDUMP_MS = 10_000

/**
 * QEMU writes it into a file that we make in our own folder and give to its user: in a folder of its own, one that was
 * taken over could put a link to somebody else's file in its place.
 */
export async function screenshot(context: QemuContext, id: InstanceId): Promise<Buffer | null> {
  if ((await observe(context, id)).power !== 'running') return null
  const file = filesFor(context, id).screen
  const owner = await context.findOwner()
  await rm(file, { force: true })
  const handle = await open(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    if (owner) await chown(file, owner.uid, owner.gid)
    await context.monitors.use(id, (qmp) => qmp.execute('screendump', { filename: file, format: 'png' }, SCREENDUMP_MS))
    return await readPicture(handle)
  } catch (error) {
    if (error instanceof QmpError) return null // it has no screen
    throw error
  } finally {
    await handle.close()
    await rm(file, { force: true })
  }
}

async function readPicture(handle: FileHandle): Promise<Buffer | null> {
  const { size } = await handle.stat()
  if (size < PNG.length || size > BYTES_MAX) return null
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0)
  const picture = buffer.subarray(0, bytesRead)
  return picture.subarray(0, PNG.length).equals(PNG) ? picture : null
}
