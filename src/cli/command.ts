/** What a command is: words, options and a body, as data; `run.ts` parses, prints the help and reports errors. */
import type { Readable, Writable } from 'node:stream'
import type { Client } from './client.ts'

export interface Option {
  type: 'string' | 'boolean'
  help: string
  /** What the help calls the value. */
  value?: string
  multiple?: boolean
}

/** What a command may use of the world around it. */
export interface Cli {
  client: Client
  /** A line on stdout. */
  print(line: string): void
  /** A line on stderr, for what is not the answer. */
  note(line: string): void
  /** For `-` in place of a file. */
  input: Readable
  output: Writable
  /** Progress may be drawn over. */
  isTerminal: boolean
  now(): Date
  /** Havn's own SSH key. */
  sshKeyFile: string
  processes(): readonly { name: string; pid: number; since: string; restarts: number }[]
}

export interface Args {
  /** By the names in `positionals`. */
  at: Record<string, string>
  /** What stands behind them, for a command that takes more. */
  rest: string[]
  text(name: string): string | undefined
  texts(name: string): string[]
  flag(name: string): boolean
}

export interface Command {
  /** For example `instance create`. */
  name: string
  summary: string
  /** `NAME` is needed, `NAME?` is not; `WORD…` takes all that follow. */
  positionals: readonly string[]
  options?: Record<string, Option>
  /** Returns the exit code when it is not 0. */
  run(cli: Cli, args: Args): Promise<number | undefined>
}

export const JSON_OPTION = { json: { type: 'boolean', help: 'print JSON' } } as const satisfies Record<string, Option>
export const WAIT_OPTIONS = {
  wait: { type: 'boolean', help: 'return when the work is done' },
  timeout: { type: 'string', value: 'SECONDS', help: 'how long --wait waits (default 600)' },
} as const satisfies Record<string, Option>
