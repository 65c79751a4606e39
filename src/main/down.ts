/**
 * `down`: stops the control plane and leaves the instances running. `--instances` stops those before, and then nothing
 * of this home is left on the host: no process, interface, table or control group.
 */
import { createClient, findAccess } from '../cli/client.ts'
import { CliError } from '../cli/exit.ts'
import { waitForOperation } from '../cli/wait.ts'
import { type Paths, pathsOf } from '../lib/paths.ts'
import { isAlive, signalProcess } from '../lib/process-identity.ts'
import { waitFor } from '../lib/wait.ts'
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
  if (instances) await clearHost(config, paths, say)
  if (!holder && left.length === 0) return say('nothing ran')
  say(`the control plane has stopped; ${instances ? 'no instance runs' : 'instances are as they were'}`)
}

/**
 * Every account's, through the API of this home, so that they stay stopped at the next `up`. Again until none runs: one
 * that was starting may run by now, and one answer holds a thousand.
 */
async function stopInstances(credentialsFile: string, say: (line: string) => void): Promise<void> {
  const client = createClient(findAccess(credentialsFile, {}))
  for (;;) {
    const { items } = await client.call('listInstances', { query: { all: 'true', limit: 1000, state: 'running' } })
    if (items.length === 0) return
    const stops = items.map(async ({ id, name }) => {
      const accepted = await client.call('stopInstance', { id }).catch(unlessConflict)
      if (!accepted) return
      await waitForOperation(client, accepted.operation.id, { timeoutMs: INSTANCE_STOP_MS })
      say(`stopped ${name}`)
    })
    await Promise.all(stops)
  }
}

/** Its guest was just switching itself off, or somebody else was first. */
function unlessConflict(error: unknown): null {
  if (error instanceof CliError && error.exit === 'conflict') return null
  throw error
}

/**
 * After the worker's end, which would make it again. What was only starting, or stopping, loses its power here and goes
 * on at the next `up`.
 */
async function clearHost(config: Config, paths: Paths, say: (line: string) => void): Promise<void> {
  const compute = createCompute(config, paths)
  const { signal } = new AbortController()
  try {
    for (const [id, { power }] of await compute.list()) {
      if (power === 'running') say(`${id} was under way; cutting its power`)
      if (power !== 'stopped') await compute.ensureStopped(id, signal)
    }
    await compute.removeHostParts()
  } finally {
    await compute.close()
  }
}
