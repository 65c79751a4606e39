/** Says in time, and in clear words, that somebody else listens where we want to. */
import { createServer } from 'node:net'
import { waitFor } from '../lib/wait.ts'
import { CloudError } from '../model/errors.ts'
import type { Listen } from './config.ts'

const LAST_RUN_LETS_GO_MS = 2_000

export async function refuseTakenPort(listen: Listen, setting: string): Promise<void> {
  let problem: NodeJS.ErrnoException | null = null
  const isFree = await waitFor(
    async () => {
      problem = await tryToListen(listen)
      return problem === null || (problem.code !== 'EADDRINUSE' ? true : null)
    },
    { timeoutMs: LAST_RUN_LETS_GO_MS, everyMs: 100 },
  )
  if (isFree && problem === null) return
  const { code, message } = problem as unknown as NodeJS.ErrnoException
  const where = `${listen.host}:${listen.port}`
  if (code === 'EADDRINUSE') {
    throw new CloudError(
      'conflict',
      `${where} is taken by another program. End it, or choose another place with ${setting}=HOST:PORT`,
    )
  }
  throw new CloudError(
    'invalid',
    `cannot listen on ${where} (${message}). Set ${setting} to an address of this machine`,
  )
}

function tryToListen({ host, port }: Listen): Promise<NodeJS.ErrnoException | null> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', resolve)
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}
