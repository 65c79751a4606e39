/** What the benches share: options, a scope that clears up, percentiles, tables, and what /proc says of a process. */
import { readdirSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { CompiledQuery } from 'kysely'
import type { Db } from '../src/store/db.ts'

/** Numbers from the command line, `--strands 500`; what is not given keeps its default, what is unknown ends the run. */
export function readOptions<T extends Record<string, number>>(defaults: T): T {
  const options = Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' as const }]))
  const { values } = parseArgs({ options })
  const read = Object.entries(defaults).map(([name, fallback]) => {
    const number = values[name] === undefined ? fallback : Number(values[name])
    if (!Number.isFinite(number) || number < 0) throw new Error(`--${name} takes a number, not ${values[name]}`)
    return [name, number]
  })
  return Object.fromEntries(read) as T
}

export interface Scope {
  /** As `t.after` of a test: run last to first when the bench is over, however it ends. */
  after(clear: () => Promise<void>): void
}

export async function bench(run: (scope: Scope) => Promise<void>): Promise<void> {
  const clearers: (() => Promise<void>)[] = []
  try {
    await run({ after: (clear) => void clearers.push(clear) })
  } finally {
    for (const clear of clearers.reverse()) await clear().catch((error: unknown) => console.error(error))
  }
  // The throw-away PostgreSQL of this process is ended by its own guard; it need not keep us.
  process.exit(process.exitCode ?? 0)
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

/** Rows in columns: the first to the left, numbers to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const texts = [head, ...rows].map((row) => row.map(String))
  const widths = head.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row.map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!))).join('  ')
  console.log(line(texts[0]!))
  console.log(widths.map((width) => '-'.repeat(width)).join('  '))
  for (const row of texts.slice(1)) console.log(line(row))
}

export const round = (value: number, digits = 1): string => value.toFixed(digits)

/** `ours` of `other`, and what we aim at; benches judge nothing, people do. */
export function printRatio(what: string, ours: number, other: number, aim: string): void {
  console.log(`ratio ${what}: ${(ours / other).toFixed(2)} (aim ${aim})`)
}

const TICKS_PER_SECOND = 100 // USER_HZ, the same on every Linux we run on

/** CPU seconds (user and system) of a process and of its children, those that have ended included. */
export function cpuSeconds(pid: number): number {
  const ticks = (of: number, fields: readonly number[]) =>
    fields.reduce((total, field) => total + Number(statOf(of)?.[field] ?? 0), 0)
  const living = processTree(pid).reduce((total, one) => total + ticks(one, [11, 12]), 0)
  return (living + ticks(pid, [13, 14])) / TICKS_PER_SECOND
}

/** Memory in MiB, shared pages divided among those who share them. */
export function memoryMib(pid: number): number {
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))
    return Number(match?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

/** The most that was ever resident, in MiB; 0 for a process that is gone. */
export function peakMemoryMib(pid: number): number {
  try {
    const match = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
    return Number(match?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

/** The server of which the connections of `db` are children. */
export async function postgresOf(db: Db): Promise<number> {
  const { rows } = await db.executeQuery<{ pid: number }>(CompiledQuery.raw('SELECT pg_backend_pid() AS pid'))
  return parentOf(rows[0]!.pid)
}

const parentOf = (pid: number): number => Number(statOf(pid)?.[1] ?? 0)

/** The process and all that descend from it. */
function processTree(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name)) parents.set(Number(name), parentOf(Number(name)))
  }
  const below = (pid: number): number[] => [
    pid,
    ...[...parents].filter(([, parent]) => parent === pid).flatMap(([child]) => below(child)),
  ]
  return below(root)
}

/** The fields of /proc/PID/stat after the name, which may hold anything: state, parent … (proc(5)). */
function statOf(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}
