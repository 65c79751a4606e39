/** The folders that blobs lie in. They are all made at once, so that a write never has to make and sync one. */
import { access, constants, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readJson, syncFolder, writeFileAtomically } from '../../../lib/files.ts'
import { CloudError } from '../../../model/errors.ts'

const LAYOUT = 1
const HEX = '0123456789abcdef'.split('')

/**
 * 16 folders of 256, so that ten million blobs are a few thousand names each. `format.json` is written last: where it
 * is, they all are, on the disk. Throws `unavailable` for the layout of another version and for what cannot be written.
 */
export async function ensureLayout(folder: string): Promise<void> {
  const format = await readJson<{ layout: number }>(join(folder, 'format.json'))
  const blobs = join(folder, 'blobs')
  if (format) {
    if (format.layout !== LAYOUT) {
      throw new CloudError('unavailable', `${folder} has layout ${format.layout} of another version of Havn`)
    }
    await access(blobs, constants.W_OK)
    return
  }
  await mkdir(blobs, { recursive: true, mode: 0o700 })
  for (const first of HEX) {
    await ensureFolder(join(blobs, first))
    const seconds = HEX.flatMap((high) => HEX.map((low) => high + low))
    await Promise.all(seconds.map((second) => ensureFolder(join(blobs, first, second))))
    await syncFolder(join(blobs, first))
  }
  await syncFolder(blobs)
  await syncFolder(folder)
  await syncFolder(dirname(folder))
  await writeFileAtomically(join(folder, 'format.json'), `${JSON.stringify({ layout: LAYOUT })}\n`)
}

/** `recursive` would look at every parent again, four thousand times. */
const ensureFolder = (path: string): Promise<void> =>
  mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
