/** The object store that the settings name. */
import { createFilesystemObjects } from '../drivers/objects/filesystem.ts'
import type { ObjectsDriver } from '../drivers/objects/objects.ts'
import { createS3Objects } from '../drivers/objects/s3.ts'
import type { Paths } from '../lib/paths.ts'
import type { Config } from './config.ts'

/** Not opened. */
export function createObjects({ storage }: Config, paths: Paths): ObjectsDriver {
  switch (storage.objects.driver) {
    case 'filesystem':
      return createFilesystemObjects({ folder: paths.objects })
    case 's3':
      return createS3Objects(storage.objects)
  }
}
