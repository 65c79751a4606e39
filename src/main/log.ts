/**
 * The supervisor's log: one line per event, on the terminal and in `logs/havn.log`. Each child has a file of its own
 * as well. Files are turned over by size, so that no log ever fills a disk.
 */
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  renameSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'

const LOG_BYTES_MAX = 10 * 1024 * 1024
const LOGS_KEPT = 3

export interface Log {
  /** `source` is who speaks: `havn`, `postgres`, `api`, `worker`. */
  line(source: string, text: string): void
}

export function createLog(folder: string, echo: (line: string) => void): Log {
  return {
    line(source, text) {
      const time = new Date()
      for (const part of text.split('\n')) {
        append(join(folder, 'havn.log'), `${time.toISOString()} ${source} ${part}`)
        echo(`${time.toTimeString().slice(0, 8)} ${source.padEnd(8)} ${part}`)
      }
    },
  }
}

/** Adds a line to a file of ours and turns the file over when it is full. */
export function append(file: string, line: string): void {
  if (sizeOf(file) > LOG_BYTES_MAX) {
    turnOver(file)
    renameSync(file, `${file}.1`)
  }
  appendFileSync(file, `${line}\n`, { mode: 0o600 })
}

/** For a file that another process has open for appending: its content is copied away and the file emptied in place. */
export function turnOverForeign(file: string): void {
  if (sizeOf(file) <= LOG_BYTES_MAX) return
  turnOver(file)
  copyFileSync(file, `${file}.1`)
  truncateSync(file)
}

function turnOver(file: string): void {
  for (let age = LOGS_KEPT - 1; age >= 1; age--) {
    if (existsSync(`${file}.${age}`)) renameSync(`${file}.${age}`, `${file}.${age + 1}`)
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

/** The file exists with the mode of a secret before anybody else opens it. */
export function touch(file: string): string {
  closeSync(openSync(file, 'a', 0o600))
  return file
}
