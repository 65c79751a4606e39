/**
 * Keeps one child process running: started again with growing pauses when it ends, its output a line each to its own
 * log file and to the supervisor's. A child of our own code has a channel to us and ends when that closes, so it cannot
 * outlive us.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { identityOf, type ProcessIdentity } from '../lib/process-identity.ts'

export interface Program {
  name: string
  /** Default: this Node. Another program has no channel to us, and starts without waiting for `go`. */
  command?: string
  args: readonly string[]
  env: NodeJS.ProcessEnv
}
export interface Hooks {
  started(identity: ProcessIdentity): void
  /** Every line it prints. */
  printed(line: string): void
  /** What happened to it, for people. */
  say(line: string): void
}
export interface Kept {
  stop(): Promise<void>
}
export interface KeptProgram extends Kept {
  /** What it needs is there. Until then it has loaded its code and waits, which saves the newcomer's first second. */
  go(): void
}
/** The one message to a child. */
export const GO = 'go'

const PAUSE_FIRST_MS = 100
const PAUSE_MAX_MS = 5_000
const LIVED_WELL_MS = 30_000
const STOP_MS = 10_000 // a step of a strand is aborted, not waited for; this is for the pathological

/** The pause before the next start, after so many quick deaths in a row. */
export const pauseMs = (deaths: number): number => Math.min(PAUSE_FIRST_MS * 2 ** deaths, PAUSE_MAX_MS)

export function keepRunning(program: Program, hooks: Hooks): KeptProgram {
  const stopping = new AbortController()
  let child: ChildProcess | undefined
  let mayGo = false
  const loop = run()

  async function run(): Promise<void> {
    let deaths = 0
    while (!stopping.signal.aborted) {
      const began = performance.now()
      child = start(program, hooks)
      if (mayGo) tellToGo(child)
      const how = await endOf(child)
      if (stopping.signal.aborted) return
      deaths = performance.now() - began > LIVED_WELL_MS ? 0 : deaths + 1
      const pause = pauseMs(Math.max(deaths - 1, 0))
      hooks.say(`${how}; starting it again in ${pause / 1000} s`)
      await delay(pause, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  /** Of another program all that it started, which is in its session, ends with it. */
  function end(signal: NodeJS.Signals): void {
    if (child?.pid !== undefined && program.command !== undefined) endGroup(child.pid, signal)
    else child?.kill(signal)
  }

  return {
    go() {
      mayGo = true
      if (child) tellToGo(child)
    },
    async stop() {
      stopping.abort()
      end('SIGTERM')
      const timer = setTimeout(() => end('SIGKILL'), STOP_MS)
      await loop
      clearTimeout(timer)
    },
  }
}

function start(program: Program, hooks: Hooks): ChildProcess {
  // Its own session: Ctrl-C in the terminal is for the supervisor alone, who stops its children in order.
  const { command, args, env } = program
  const child = command
    ? spawn(command, args, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe'] })
    : spawn(process.execPath, args, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', (line) => hooks.printed(line))
  }
  const identity = child.pid === undefined ? null : identityOf(child.pid)
  if (identity) hooks.started(identity)
  return child
}

function endGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** It may just have ended; then its successor is told. */
const tellToGo = (child: ChildProcess) => void child.send?.(GO, () => {})

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not start: ${error.message}`))
    child.once('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `ended with exit code ${code}`))
  })
}
