/** What `./havn` starts: the words that run the cloud are handled here, all others are a client's. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CliError, EXIT, exitOfCode } from '../cli/exit.ts'
import { CloudError, describeError } from '../model/errors.ts'
import { ConfigError } from './config.ts'
import type { Report } from './detach.ts'

const UP_HELP = `Usage: ./havn up [--detach] [--empty]

Starts the cloud and stays in the foreground with a readable log; Ctrl-C stops it and leaves the instances running.
The first start installs what is missing, makes the owner account and an instance named first.

  --detach   return once the API answers and, on a first start, once first has shown its SSH banner
  --empty    on a first start: no instance and no image builds`
const DOWN_HELP = `Usage: ./havn down [--instances]

Stops the control plane; the instances go on running.

  --instances   stop every instance too, gracefully, before`
const RESCUE_HELP = `Usage: ./havn rescue [BACKUP [FILE]] [OPTIONS]

Restores backups with nothing but the object store and keys/master.key under HAVN_HOME: no database, no Havn that runs.
Without BACKUP it lists what the store holds. docs/backups.md tells the rest.

  --raw    a raw disk instead of a qcow2 image
  --json   print JSON`

const print = (line: string) => console.log(line)
const [command, ...rest] = process.argv.slice(2)
try {
  process.exitCode = await dispatch()
} catch (error) {
  process.exitCode = report(error)
}

async function dispatch(): Promise<number> {
  switch (command) {
    case 'up':
      return runUp()
    case 'down': {
      const { values } = options({
        instances: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      })
      if (values.help) return say(DOWN_HELP)
      const { down } = await import('./down.ts')
      await down({ instances: values.instances === true }, print)
      return EXIT.ok
    }
    case 'rescue':
      return runRescue()
    case 'test': {
      const script = join(import.meta.dirname, '../../scripts/test.ts')
      return spawnSync(process.execPath, [script, ...rest], { stdio: 'inherit' }).status ?? 1
    }
    default: {
      const { runCli } = await import('./cli.ts')
      return runCli(process.argv.slice(2))
    }
  }
}

async function runRescue(): Promise<number> {
  const flag = { type: 'boolean', default: false } as const
  const known = { raw: flag, json: flag, help: flag }
  const { values, positionals } = parseArgs({ args: rest, options: known, allowPositionals: true })
  const [backup = null, file = null, ...more] = positionals
  if (values.help) return say(RESCUE_HELP)
  if (more.length > 0) throw new CliError('usage', `what is ${JSON.stringify(more[0])} for?\n${RESCUE_HELP}`)
  const { rescue } = await import('./rescue.ts')
  await rescue({ backup, file, format: values.raw ? 'raw' : 'qcow2', asJson: values.json }, print)
  return EXIT.ok
}

async function runUp(): Promise<number> {
  const { values } = options({
    detach: { type: 'boolean', default: false },
    empty: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  })
  if (values.help) return say(UP_HELP)
  if (values.detach) {
    const { upDetached } = await import('./detach.ts')
    return upDetached(values.empty ? ['--empty'] : [], print)
  }
  const { up } = await import('./up.ts')
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
  process.title = 'havn up'
  await up(
    {
      isEmpty: values.empty === true,
      echo: (line) => (process.connected ? send({ line }) : print(line)),
      settled: (settled) => send({ settled }),
    },
    stop.signal,
  )
  return EXIT.ok
}

/** To `up --detach`, as long as it waits. */
function send(message: Report): void {
  if (process.connected) process.send?.(message)
}

function options<T extends NonNullable<Parameters<typeof parseArgs>[0]>['options']>(known: T) {
  return parseArgs({ args: rest, options: known })
}

function say(text: string): number {
  print(text)
  return EXIT.ok
}

/** A sentence on stderr and an exit code; a stack only for what is a bug. */
function report(error: unknown): number {
  const exit = exitOf(error)
  const message = messageOf(error)
  if (process.connected) send({ failed: message, exit })
  else console.error(`havn: ${message}`)
  return exit
}

function exitOf(error: unknown): number {
  if (error instanceof CliError) return EXIT[error.exit]
  if (error instanceof CloudError) return EXIT[exitOfCode(error.code)]
  const code = (error as NodeJS.ErrnoException | null)?.code ?? ''
  if (error instanceof ConfigError) return EXIT.usage
  return code.startsWith('ERR_PARSE_ARGS') ? EXIT.usage : EXIT.error
}

function messageOf(error: unknown): string {
  if (error instanceof CliError) return error.message // its cause is already in its words
  const isBug = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
  return isBug ? (error.stack ?? error.message) : describeError(error)
}
