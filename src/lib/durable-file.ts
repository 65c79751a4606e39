/** A file that is whole or not there: written aside, synced, renamed, and the folder synced so that the name lasts. */
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

export async function writeFileDurably(file: string, content: string | Buffer, mode: number): Promise<void> {
  const temporary = `${file}.new`
  const handle = await open(temporary, 'w', mode)
  try {
    await handle.chmod(mode) // open() leaves the mode of a file that is there
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
  const folder = await open(dirname(file), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
