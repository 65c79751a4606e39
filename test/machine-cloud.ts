/**
 * A Havn as people run it, with one real machine `first`, and its insides for tests of services. Its micro image is the
 * tests' own: nothing is built, and nothing is built behind it.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Instance } from '../src/dialects/native/contract/instances.ts'
import { type AppContext, buildContext } from '../src/main/context.ts'
import type { Ctx } from '../src/services/ctx.ts'
import { type Havn, newHavn } from './havn.ts'
import { microImage } from './micro-image.ts'
import { ownerOf } from './owner.ts'

export interface MachineCloud {
  havn: Havn
  context: AppContext
  /** What the owner's calls carry. */
  ctx: Ctx
  first: Instance
  /** Runs a shell command in a guest as root and gives what it printed; throws when it fails. */
  inside(name: string, command: string): Promise<string>
  close(): Promise<void>
}

export async function startMachineCloud(settings: NodeJS.ProcessEnv = {}): Promise<MachineCloud> {
  const havn = await newHavn(settings)
  try {
    await succeeds(havn, 'up --detach --empty')
    const image = await microImage()
    await succeeds(havn, `image import ${image} --os micro --sha256 ${await sha256Of(image)} --wait`)
    await succeeds(havn, 'instance create first --image micro --wait')
    const context = await buildContext(havn.config, 'up')
    return {
      havn,
      context,
      ctx: await ownerOf(context),
      first: await havn.json<Instance>('instance show first'),
      async inside(name, command) {
        return (await succeeds(havn, ['ssh', name, '--', 'sh', '-c', command])).trim()
      },
      async close() {
        await context.close()
        await havn.close()
      },
    }
  } catch (error) {
    await havn.close()
    throw error
  }
}

async function succeeds(havn: Havn, words: string | readonly string[]): Promise<string> {
  const { code, out, err } = await havn.run(words)
  assert.equal(code, 0, `${words}: ${out}${err}`)
  return out
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
