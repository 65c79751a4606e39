/** `down`: stops the control plane and leaves the instances running; `--instances` stops those before. */
import { createClient, findAccess } from '../cli/client.ts'
import { waitForOperation } from '../cli/wait.ts'
import { type Paths, pathsOf } from '../lib/paths.ts'
import { isAlive, signalProcess } from '../lib/process-identity.ts'
import { waitFor } from '../lib/wait.ts'
import { CloudError } from '../model/errors.ts'
import { type Config, readConfig } from './config.ts'
import { createCompute } from './context.ts'
import { endTasks } from './end-tasks.ts'
import { findHolder } from './home-lock.ts'
import { endStrays, livingProcesses } from './process-table.ts'

const STOP_MS = 40_000
const INSTANCE_STOP_MS = 5 * 60_000

export async function down({ instances }: { instances: boolean }, say: (line: string) => void): Promise<void> {
  const config = readConfig(process.env)
  const paths = pathsOf(config.home)
  if (instances) await stopInstances(paths.credentials, say)
  const holder = findHolder(paths)
  if (holder) {
    signalProcess(holder, 'SIGTERM')
    const gone = await waitFor(() => !isAlive(holder), { timeoutMs: STOP_MS })
    if (!gone) {
      say(`process ${holder.pid} does not end; killing it`)
      signalProcess(holder, 'SIGKILL')
    }
  }
  // What a killed supervisor left: nobody takes it over now.
  const left = livingProcesses(paths)
  await endStrays(paths, say)
  await endTasks(paths, say)
  const postgres = left.find(({ name }) => name === 'postgres')
  if (postgres) {
    signalProcess(postgres, 'SIGINT')
    if (!(await waitFor(() => !isAlive(postgres), { timeoutMs: 10_000 }))) signalProcess(postgres, 'SIGQUIT')
  }
  const isClear = instances && (await removeHostParts(config, paths, say))
  const end = isClear
    ? 'the control plane and its instances have stopped'
    : 'the control plane has stopped; instances are as they were'
  say(holder || left.length > 0 ? end : 'nothing ran')
}

/** Every account's, through the API, so that they stay stopped at the next `up`. */
async function stopInstances(credentialsFile: string, say: (line: string) => void): Promise<void> {
  const client = createClient(findAccess(credentialsFile, process.env))
  const { items } = await client.call('listInstances', { query: { all: 'true', limit: 1000, state: 'running' } })
  const stops = items.map(async ({ id, name }) => {
    const { operation } = await client.call('stopInstance', { id })
    await waitForOperation(client, operation.id, { timeoutMs: INSTANCE_STOP_MS })
    say(`stopped ${name}`)
  })
  await Promise.all(stops)
}

/** After the worker's end, which would make them again. False when an instance still needs them. */
async function removeHostParts(config: Config, paths: Paths, say: (line: string) => void): Promise<boolean> {
  try {
    await createCompute(config, paths).removeHostParts()
    return true
  } catch (error) {
    if (!(error instanceof CloudError)) throw error
    say(`the network of the instances stays: ${error.message}`)
    return false
  }
}
