/**
 * The simulator's memory on disk: an append-only file of JSON lines, each the whole truth about one machine (or that it
 * is gone), the last one per machine wins. So replaying is a loop, and a line written twice does no harm.
 *
 * Two processes may have it open (an old worker dying while the new one starts): every line is one write with O_APPEND,
 * so lines never mix. A line torn by kill -9 does not parse and is dropped; whoever opens the file next ends it with a
 * newline. Nothing is synced: machines that do not exist need not survive a power cut.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { InstanceId } from '../../../model/ids.ts'
import { type Machine, newMachine } from './machine.ts'

type Line = Machine | { id: InstanceId; gone: true }

export interface Journal {
  /** Takes up what the file says beyond what was read before; all of it at first and after a compaction. */
  catchUp(machines: Map<InstanceId, Machine>): void
  write(machine: Machine): void
  writeGone(id: InstanceId): void
  close(): void
}

/** A file below this is not worth rewriting. */
const COMPACT_LINES_MIN = 10_000
const READ_BYTES = 1 << 20
const NEWLINE = 0x0a

export function openJournal(folder: string): Journal {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'machines.jsonl')
  const state = { fd: openSync(path, 'a+', 0o600), read: 0, lines: 0, live: 0 }
  endTornLine(state.fd)
  compactIfDead()

  /** When another process has compacted the file, ours is the old one: take the new one. */
  function follow(): void {
    if (fstatSync(state.fd).nlink > 0) return
    closeSync(state.fd)
    state.fd = openSync(path, 'a+', 0o600)
    state.read = 0
    state.lines = 0
  }

  function append(line: Line): void {
    follow()
    writeSync(state.fd, `${JSON.stringify(line)}\n`)
    state.lines += 1
    if (state.lines > COMPACT_LINES_MIN && state.lines > 3 * state.live) compactIfDead()
  }

  /** Rewrites the file from what it says itself, not from memory, which another process may be ahead of. */
  function compactIfDead(): void {
    const machines = new Map<InstanceId, Machine>()
    const { lines } = readLines(state.fd, 0, (line) => apply(machines, line))
    state.live = machines.size
    state.lines = lines
    if (lines <= COMPACT_LINES_MIN || lines <= 2 * machines.size) return
    const draft = `${path}.${process.pid}`
    writeFileSync(draft, [...machines.values()].map((machine) => `${JSON.stringify(machine)}\n`).join(''), {
      mode: 0o600,
    })
    renameSync(draft, path)
    follow()
    state.lines = machines.size
  }

  return {
    catchUp(machines) {
      follow()
      if (state.read === 0) machines.clear()
      state.read = readLines(state.fd, state.read, (line) => apply(machines, line)).end
      state.live = machines.size
    },
    write: append,
    writeGone: (id) => append({ id, gone: true }),
    close: () => closeSync(state.fd),
  }
}

function apply(machines: Map<InstanceId, Machine>, line: Line): void {
  if ('gone' in line) machines.delete(line.id)
  else machines.set(line.id, { ...newMachine(line.id), ...line }) // an older Havn wrote fewer fields
}

function endTornLine(fd: number): void {
  const { size } = fstatSync(fd)
  const last = Buffer.alloc(1)
  if (size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== NEWLINE) writeSync(fd, '\n')
}

/** Calls `each` for every whole line from `start` on; `end` is where the first unfinished one begins. */
function readLines(fd: number, start: number, each: (line: Line) => void): { lines: number; end: number } {
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  let rest = Buffer.alloc(0)
  let position = start
  let lines = 0
  for (let got = readSync(fd, buffer, 0, READ_BYTES, position); got > 0; ) {
    position += got
    const bytes = Buffer.concat([rest, buffer.subarray(0, got)])
    const end = bytes.lastIndexOf(NEWLINE) + 1
    for (const text of bytes.toString('utf8', 0, end).split('\n')) {
      const line = parseLine(text)
      if (line) each(line)
      if (text !== '') lines += 1
    }
    rest = bytes.subarray(end)
    got = readSync(fd, buffer, 0, READ_BYTES, position)
  }
  return { lines, end: position - rest.length }
}

function parseLine(text: string): Line | null {
  if (text === '') return null
  try {
    return JSON.parse(text) as Line
  } catch {
    return null // torn by a kill
  }
}
