/** `--wait`: shows how far an operation is, over one line on a terminal, a line a change elsewhere. */
import type { Operation } from '../dialects/native/contract/operations.ts'
import type { Args, Cli } from './command.ts'
import { CliError } from './exit.ts'
import { bar } from './output.ts'
import { waitForOperation } from './wait.ts'

const WAIT_SECONDS = 600

export async function follow(cli: Cli, operation: Operation, args: Args): Promise<Operation> {
  const seconds = Number(args.text('timeout') ?? WAIT_SECONDS)
  if (!(seconds >= 0)) throw new CliError('usage', '--timeout takes a number of seconds')
  let drawn = false
  try {
    return await waitForOperation(cli.client, operation.id, {
      timeoutMs: seconds * 1000,
      onChange(now) {
        if (args.flag('json')) return
        if (!cli.isTerminal) return cli.note(describe(now))
        process.stderr.write(`\r\x1b[K${describe(now)}`)
        drawn = true
      },
    })
  } finally {
    if (drawn) process.stderr.write('\n')
  }
}

function describe({ kind, state, progressPercent, message }: Operation): string {
  const progress = progressPercent === null ? '' : ` ${bar(progressPercent)}`
  return `${kind} ${state}${progress}${message ? ` ${message}` : ''}`
}
