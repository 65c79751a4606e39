/** Detached work and image files of this host, as strands see them: they know what to do, this knows where. */
import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readChunkList } from '../drivers/backups/chunk-list.ts'
import { newSealedKey } from '../drivers/backups/keys.ts'
import { writeKnownChunks } from '../drivers/backups/known-chunks.ts'
import { createImages } from '../drivers/images/images.ts'
import { createTasks } from '../drivers/tasks/tasks.ts'
import type { BackupTools, ImageTools, TaskTools } from '../jobs/tools.ts'
import type { Paths } from '../lib/paths.ts'
import { CloudError } from '../model/errors.ts'
import type { BackupId } from '../model/ids.ts'
import { type Config, taskEnvironment } from './config.ts'

export interface HostWork {
  tasks: TaskTools
  images: ImageTools
  backups: BackupTools
}

export function createHostWork(config: Config, paths: Paths, masterKey: Buffer): HostWork {
  const tasks = createTasks({ folder: paths.tasks, env: { ...process.env, ...taskEnvironment(config) } })
  const backups = createBackupTools(paths, masterKey)
  if (config.compute === 'simulator') return { tasks: withoutImages(tasks), images: NO_IMAGES, backups }
  const images = createImages({ folder: paths.images })
  const places = {
    'image-build': { imagesFolder: paths.images, cacheFolder: join(paths.images, 'cache') },
    'image-import': { imagesFolder: paths.images },
    'image-from-backup': { imagesFolder: paths.images },
    'backup-upload': {},
    'backup-restore': {},
  }
  return {
    tasks: {
      ...tasks,
      ensureStarted: (id, program, input) =>
        tasks.ensureStarted(id, program, { ...(input as object), ...places[program] }),
    },
    images: {
      async list() {
        const files = await images.list()
        return Promise.all(
          files.map(async ({ digest }) => ({ digest, modifiedAt: (await stat(images.pathOf(digest))).mtime })),
        )
      },
      remove: (digest) => images.remove(digest),
      removeUpload: (file) => rm(file, { force: true }),
    },
    backups,
  }
}

function createBackupTools(paths: Paths, masterKey: Buffer): BackupTools {
  const knownFile = (id: BackupId) => join(paths.backups, `${id}.known`)
  return {
    newKey: () => newSealedKey(masterKey),
    async writeKnown(id, chunks) {
      await mkdir(paths.backups, { recursive: true, mode: 0o700 })
      await writeKnownChunks(knownFile(id), chunks)
      return knownFile(id)
    },
    readList: readChunkList,
    remove: (id) => rm(knownFile(id), { force: true }),
  }
}

/** A simulator has no image files, and so nothing to build or import. */
const NO_IMAGES: ImageTools = { list: async () => [], remove: async () => {}, removeUpload: async () => {} }

const withoutImages = (tasks: TaskTools): TaskTools => ({
  ...tasks,
  async ensureStarted(id, program, input) {
    if (program.startsWith('image-')) throw new CloudError('conflict', 'a simulator builds no images')
    await tasks.ensureStarted(id, program, input)
  },
})
