/**
 * The first start's own wishes, made through the API like any client's: the micro image, an instance named `first`,
 * then debian-12. Each step looks at what is there, so a killed first start is continued where it stopped.
 */
import { globSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../cli/client.ts'
import { CliError } from '../cli/exit.ts'
import { waitForOperation } from '../cli/wait.ts'
import type { Image } from '../dialects/native/contract/images.ts'
import type { Instance } from '../dialects/native/contract/instances.ts'
import type { Operation } from '../dialects/native/contract/operations.ts'
import { isOpen } from '../model/operation.ts'
import { normalizeSshKey } from '../model/ssh-key.ts'

export interface FirstStart {
  client: Client
  say(line: string): void
  signal: AbortSignal
}

const IMAGE_MS = 20 * 60_000
const INSTANCE_MS = 10 * 60_000
const NAME = 'first'
const STARTER = 'micro'
const NEXT = 'debian-12'

/** The instance `first`, running: its SSH banner was seen. */
export async function ensureFirstInstance(context: FirstStart): Promise<Instance> {
  const { client, say, signal } = context
  await ensureImage(context, STARTER)
  let [instance] = (await client.call('listInstances', { query: { name: NAME, all: 'true' } })).items
  if (!instance) {
    say(`creating the instance ${NAME}`)
    const body = { name: NAME, hostname: NAME, imageId: STARTER, sshKeys: ownKeys() }
    instance = (await client.call('createInstance', { body })).instance
  }
  const { items } = await client.call('listOperations', { query: { resourceId: instance.id, limit: 20, all: 'true' } })
  const creation = items.find(({ kind }) => kind === 'instance.create')
  if (creation) {
    await waitForOperation(client, creation.id, {
      timeoutMs: INSTANCE_MS,
      signal,
      onChange: tell(say, `instance ${NAME}`),
    })
  }
  return client.call('getInstance', { id: instance.id })
}

/** Asks for the Debian image and does not wait: it is built behind everything else. */
export async function requestNextImage({ client, say }: FirstStart): Promise<void> {
  const image = await findImage(client, NEXT)
  if (image?.builder === null || (image?.state !== 'absent' && image?.state !== 'failed')) return
  await client.call('buildImage', { id: NEXT })
  say(`building the image ${NEXT} behind it; ./havn status shows how far it is`)
}

async function ensureImage({ client, say, signal }: FirstStart, id: string): Promise<void> {
  const image = await findImage(client, id)
  if (!image)
    throw new CliError('notFound', `the catalogue has no image ${id}, so there is nothing to start ${NAME} from`)
  if (image.state === 'available') return
  let operation = await openOperation(client, id)
  if (!operation) {
    say(`building the image ${id}`)
    operation = (await client.call('buildImage', { id })).operation
  }
  await waitForOperation(client, operation.id, { timeoutMs: IMAGE_MS, signal, onChange: tell(say, `image ${id}`) })
}

const findImage = async (client: Client, id: string): Promise<Image | undefined> =>
  (await client.call('listImages')).items.find((image) => image.id === id)

/** The build or import under way, if there is one. Its resource is the image's strand, `image_<id>`. */
async function openOperation(client: Client, imageId: string): Promise<Operation | undefined> {
  const { items } = await client.call('listOperations', { query: { resourceId: `image_${imageId}`, all: 'true' } })
  return items.find(({ state }) => isOpen(state))
}

const tell = (say: (line: string) => void, what: string) => (operation: Operation) => {
  const percent = operation.progressPercent === null ? '' : ` ${operation.progressPercent} %`
  const message = operation.message ? ` (${operation.message})` : ''
  say(`${what}: ${operation.state}${percent}${message}`)
}

/** The public keys of whoever runs `up`, so that plain `ssh` works for them too. */
function ownKeys(): string[] {
  return globSync(join(homedir(), '.ssh/id_*.pub')).flatMap((file) => {
    const key = normalizeSshKey(readFileSync(file, 'utf8'))
    return key === null ? [] : [key]
  })
}

const READY_MS = 60_000

/** Until the API says that the database answers and a worker was seen. */
export const waitUntilReady = (apiUrl: string, signal: AbortSignal): Promise<void> =>
  waitUntilAnswers(`the API at ${apiUrl}`, `${apiUrl}/readyz`, 200, signal)

/** Until an S3 process refuses a stranger in good order. */
export const waitUntilS3Answers = (url: string, signal: AbortSignal): Promise<void> =>
  waitUntilAnswers(`S3 at ${url}`, `${url}/`, 403, signal)

async function waitUntilAnswers(what: string, url: string, status: number, signal: AbortSignal): Promise<void> {
  const end = performance.now() + READY_MS
  for (let last = 'it does not answer'; ; await delay(50, undefined, { signal })) {
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) })
      if (response.status === status) return
      last = (await response.text()).slice(0, 300)
    } catch {
      signal.throwIfAborted()
    }
    if (performance.now() > end) throw new Error(`${what} is not ready after ${READY_MS / 1000} s: ${last}`)
  }
}
