/** Gives the commands of the CLI what they may use of this machine. */
import { createClient, findAccess } from '../cli/client.ts'
import type { Cli } from '../cli/command.ts'
import { runCommand } from '../cli/run.ts'
import { pathsOf } from '../lib/paths.ts'
import { readConfig } from './config.ts'
import { sshKeyFile } from './keys.ts'
import { livingProcesses } from './process-table.ts'

export async function runCli(words: readonly string[]): Promise<number> {
  const paths = pathsOf(readConfig(process.env).home)
  // Whoever only wants help needs no API.
  let client: Cli['client'] | undefined
  const connect = () => (client ??= createClient(findAccess(paths.credentials, process.env)))
  return runCommand(words, {
    client: {
      get url() {
        return connect().url
      },
      call: async (...request) => connect().call(...request),
    },
    print: (line) => void process.stdout.write(`${line}\n`),
    note: (line) => void process.stderr.write(`${line}\n`),
    input: process.stdin,
    output: process.stdout,
    isTerminal: process.stderr.isTTY === true,
    now: () => new Date(),
    sshKeyFile: sshKeyFile(paths),
    processes: () => livingProcesses(paths),
  })
}
