/** The detached programs of backups, with the object store and the master key of the installation that started them. */
import { join } from 'node:path'
import { z } from 'zod'
import { restoreBackup } from '../drivers/backups/restore.ts'
import { uploadBackup } from '../drivers/backups/upload.ts'
import { RestoreInput, UploadInput } from '../drivers/backups/work.ts'
import { createImages } from '../drivers/images/images.ts'
import type { ObjectsDriver } from '../drivers/objects/objects.ts'
import type { TaskProgram } from '../drivers/tasks/child.ts'
import { pathsOf } from '../lib/paths.ts'
import { readConfig } from './config.ts'
import { readInstallationKeys } from './keys.ts'
import { createObjects } from './objects.ts'

export const upload: TaskProgram = (input, { kept }, report) =>
  withStore((tools) => uploadBackup(UploadInput.parse(input), { ...tools, folder: kept, report }))

export const restore: TaskProgram = (input, _folders, report) =>
  withStore((tools) => restoreBackup(RestoreInput.parse(input), { ...tools, report }))

async function withStore<T>(work: (tools: { objects: ObjectsDriver; masterKey: Buffer }) => Promise<T>): Promise<T> {
  const config = readConfig(process.env)
  const paths = pathsOf(config.home)
  const { masterKey } = await readInstallationKeys(paths)
  const objects = createObjects(config, paths)
  try {
    return await work({ objects, masterKey })
  } finally {
    await objects.close()
  }
}

const ConvertInput = RestoreInput.omit({ file: true, format: true, owner: true }).extend({ imagesFolder: z.string() })

/** A backup's disk as an image of its own: written whole and verified, then published under its digest. */
export const convert: TaskProgram = async (input, { work }, report) => {
  const { imagesFolder, ...backup } = ConvertInput.parse(input)
  const file = join(work, 'disk.qcow2')
  await withStore((tools) => restoreBackup({ ...backup, file, format: 'qcow2', owner: null }, { ...tools, report }))
  return createImages({ folder: imagesFolder }).publish(file)
}
