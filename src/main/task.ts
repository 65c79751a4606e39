/** One detached task: `node task.ts RUN_FOLDER`. Started by drivers/tasks; outlives whoever started it. */
import { setPriority } from 'node:os'
import { z } from 'zod'
import { restoreBackup } from '../drivers/backups/restore.ts'
import { uploadBackup } from '../drivers/backups/upload.ts'
import { RestoreInput, UploadInput } from '../drivers/backups/work.ts'
import { buildDebian } from '../drivers/images/debian.ts'
import { createImages } from '../drivers/images/images.ts'
import { ImportInput, importImage } from '../drivers/images/import.ts'
import { buildMicro } from '../drivers/images/micro.ts'
import type { ObjectsDriver } from '../drivers/objects/objects.ts'
import { runTask, type TaskProgram } from '../drivers/tasks/child.ts'
import { pathsOf } from '../lib/paths.ts'
import { readConfig } from './config.ts'
import { readInstallationKeys } from './keys.ts'
import { createObjects } from './objects.ts'

/** What the programs take as input. `imagesFolder` gets the result; `cacheFolder` keeps downloaded packages. */
const BuildInput = z.strictObject({
  builder: z.enum(['micro', 'debian']),
  imagesFolder: z.string(),
  cacheFolder: z.string(),
})
const BUILDERS = { micro: buildMicro, debian: buildDebian }
const NICE = { micro: 0, debian: 10 } // somebody waits for the first; the second is heavy

const build: TaskProgram = async (input, { work }, report) => {
  const { builder, imagesFolder, cacheFolder } = BuildInput.parse(input)
  setPriority(NICE[builder])
  const file = await BUILDERS[builder]({ work, cache: cacheFolder }, report)
  return createImages({ folder: imagesFolder }).publish(file)
}

const bringIn: TaskProgram = async (input, folders, report) => {
  const wanted = ImportInput.parse(input)
  const { file } = await importImage(wanted, folders, report)
  return createImages({ folder: wanted.imagesFolder }).publish(file)
}

/** Object store and master key of the installation that started it. */
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

const upload: TaskProgram = (input, { kept }, report) =>
  withStore((tools) => uploadBackup(UploadInput.parse(input), { ...tools, folder: kept, report }))

const restore: TaskProgram = (input, _folders, report) =>
  withStore((tools) => restoreBackup(RestoreInput.parse(input), { ...tools, report }))

const folder = process.argv[2]
if (!folder) throw new Error('usage: task.ts RUN_FOLDER')
await runTask(folder, {
  'image-build': build,
  'image-import': bringIn,
  'backup-upload': upload,
  'backup-restore': restore,
})
