/** The detached programs that make image files. */
import { setPriority } from 'node:os'
import { z } from 'zod'
import { buildDebian } from '../drivers/images/debian.ts'
import { createImages } from '../drivers/images/images.ts'
import { ImportInput, importImage } from '../drivers/images/import.ts'
import { buildMicro } from '../drivers/images/micro.ts'
import type { TaskProgram } from '../drivers/tasks/child.ts'

/** What the programs take as input. `imagesFolder` gets the result; `cacheFolder` keeps downloaded packages. */
const BuildInput = z.strictObject({
  builder: z.enum(['micro', 'debian']),
  imagesFolder: z.string(),
  cacheFolder: z.string(),
})
const BUILDERS = { micro: buildMicro, debian: buildDebian }
const NICE = { micro: 0, debian: 10 } // somebody waits for the first; the second is heavy

export const build: TaskProgram = async (input, { work }, report) => {
  const { builder, imagesFolder, cacheFolder } = BuildInput.parse(input)
  setPriority(NICE[builder])
  const file = await BUILDERS[builder]({ work, cache: cacheFolder }, report)
  return createImages({ folder: imagesFolder }).publish(file)
}

export const bringIn: TaskProgram = async (input, folders, report) => {
  const wanted = ImportInput.parse(input)
  const { file } = await importImage(wanted, folders, report)
  return createImages({ folder: wanted.imagesFolder }).publish(file)
}
