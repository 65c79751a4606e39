/** Finds the command that the words name, parses its options, runs it. Unknown words are answered with what there is. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { accountCommands, keyCommands } from './account.ts'
import { backupCommands } from './backup.ts'
import { bucketCommands } from './bucket.ts'
import type { Args, Cli, Command, Option } from './command.ts'
import { credentialCommands } from './credential.ts'
import { CliError, EXIT } from './exit.ts'
import { imageCommands } from './image.ts'
import { instanceCommands } from './instance.ts'
import { metrics } from './metrics.ts'
import { objectCommands } from './object.ts'
import { operatorCommands } from './operator.ts'
import { rsyncCommands } from './rsync.ts'
import { s3Commands } from './s3.ts'
import { snapshotCommands } from './snapshot.ts'
import { ssh } from './ssh.ts'
import { sshKeyCommands } from './ssh-key.ts'
import { status } from './status.ts'

export const COMMANDS: readonly Command[] = [
  status,
  ssh,
  ...instanceCommands,
  ...credentialCommands,
  metrics,
  ...snapshotCommands,
  ...backupCommands,
  ...rsyncCommands,
  ...imageCommands,
  ...bucketCommands,
  ...objectCommands,
  ...s3Commands,
  ...sshKeyCommands,
  ...keyCommands,
  ...accountCommands,
  ...operatorCommands,
]

/** Returns the exit code; throws a `CliError` for an end that needs a sentence. */
export async function runCommand(words: readonly string[], cli: Cli): Promise<number> {
  const [first] = words
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    cli.print(overview())
    return first === undefined ? EXIT.usage : EXIT.ok
  }
  const command = findCommand(words)
  if (!command) return group(words, cli)
  const given = words.slice(command.name.split(' ').length)
  const { args, wantsHelp } = parse(command, given)
  if (wantsHelp) {
    cli.print(helpOf(command))
    return EXIT.ok
  }
  return (await command.run(cli, args())) ?? EXIT.ok
}

const findCommand = (words: readonly string[]): Command | undefined =>
  COMMANDS.find((command) => command.name.split(' ').every((word, index) => words[index] === word))

/** `./havn instance`, `./havn instance --help`, `./havn instance nonsense` */
function group([word, next]: readonly string[], cli: Cli): number {
  const members = COMMANDS.filter((command) => command.name.startsWith(`${word} `))
  if (members.length === 0)
    throw new CliError('usage', `there is no command ${JSON.stringify(word)}; ./havn --help lists them`)
  if (next !== undefined && next !== '--help' && next !== '-h') {
    const verbs = [...new Set(members.map(({ name }) => name.split(' ')[1]))].join(', ')
    throw new CliError('usage', `there is no command ${JSON.stringify(`${word} ${next}`)}; ${word} can ${verbs}`)
  }
  cli.print(members.map(lineOf).join('\n'))
  return next === undefined ? EXIT.usage : EXIT.ok
}

function parse(command: Command, words: readonly string[]): { args: () => Args; wantsHelp: boolean } {
  const options = Object.fromEntries(
    Object.entries(command.options ?? {}).map(([name, { type, multiple = false }]) => [name, { type, multiple }]),
  )
  // What follows `--` belongs to another program and is not looked at.
  const end = words.indexOf('--')
  const [ours, theirs] = end < 0 ? [words, []] : [words.slice(0, end), words.slice(end + 1)]
  const { values, positionals } = read(command, ours, options)
  const list = (name: string) => [values[name] ?? []].flat().map(String)
  return {
    wantsHelp: values.help === true,
    args: () => ({
      at: place(command, positionals),
      rest: [...positionals.slice(fixedOf(command).length), ...theirs],
      text: (name) => list(name)[0],
      texts: list,
      flag: (name) => values[name] === true,
    }),
  }
}

interface Read {
  values: Record<string, string | boolean | (string | boolean)[] | undefined>
  positionals: string[]
}

function read(command: Command, words: readonly string[], options: ParseArgsConfig['options']): Read {
  const help = { type: 'boolean', short: 'h' } as const
  try {
    return parseArgs({ args: [...words], options: { ...options, help }, allowPositionals: true })
  } catch (error) {
    throw new CliError('usage', `${(error as Error).message.split('. ')[0]}\n${usageOf(command)}`, { cause: error })
  }
}

const fixedOf = (command: Command) => command.positionals.filter((name) => !name.endsWith('…'))

function place(command: Command, given: readonly string[]): Record<string, string> {
  const fixed = fixedOf(command)
  const missing = fixed.find((name, index) => !name.endsWith('?') && !given[index])
  if (missing) throw new CliError('usage', `${missing} is missing\n${usageOf(command)}`)
  if (given.length > fixed.length && fixed.length === command.positionals.length) {
    throw new CliError('usage', `what is ${JSON.stringify(given[fixed.length])} for?\n${usageOf(command)}`)
  }
  return Object.fromEntries(
    fixed.flatMap((name, index) => (given[index] === undefined ? [] : [[name.replace('?', ''), given[index]]])),
  )
}

function usageOf(command: Command): string {
  const words = command.positionals.map((name) => {
    if (name.endsWith('…')) return `[-- ${name}]`
    return name.endsWith('?') ? `[${name.slice(0, -1)}]` : name
  })
  const options = Object.keys(command.options ?? {}).length > 0 ? ' [OPTIONS]' : ''
  return `Usage: ./havn ${[command.name, ...words].join(' ')}${options}`
}

export function helpOf(command: Command): string {
  const options = Object.entries(command.options ?? {})
  const names = options.map(([name, option]) => optionName(name, option))
  const width = Math.max(0, ...names.map((name) => name.length))
  const lines = options.map(
    ([, { help, multiple }], index) =>
      `  ${names[index]!.padEnd(width)}  ${help}${multiple ? '; may be given again' : ''}`,
  )
  const summary = `${command.summary[0]!.toUpperCase()}${command.summary.slice(1)}.`
  return [usageOf(command), '', summary, ...(lines.length > 0 ? ['', ...lines] : [])].join('\n')
}

const optionName = (name: string, { value }: Option) => (value === undefined ? `--${name}` : `--${name} ${value}`)

const lineOf = (command: Command) =>
  `  ${usageOf(command).replace('Usage: ./havn ', '').replace(' [OPTIONS]', '').padEnd(34)}  ${command.summary}`

export function overview(): string {
  return [
    'Usage: ./havn COMMAND',
    '',
    '  up [--detach] [--empty]             start the cloud',
    '  down [--instances]                  stop the control plane; instances go on unless asked',
    '  rescue [BACKUP [FILE]]              disks out of the object store, with keys/master.key alone',
    '  test [--all] [--part NAME]          run the tests',
    ...COMMANDS.map(lineOf),
    '',
    './havn COMMAND --help tells more. Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 conflict,',
    '5 the API cannot be reached or is not ready, 6 waiting timed out, 7 not allowed, 8 no room, quota or credit.',
  ].join('\n')
}
