/** How far a transfer is: one line on a terminal that is drawn over, nothing elsewhere. */
import type { Cli } from './command.ts'
import { bar, bytes } from './output.ts'

const REDRAW_MS = 100

export interface Meter {
  at(doneBytes: number, totalBytes?: number): void
  end(): void
}

export function meter(cli: Cli, name: string, totalBytes: number | null, isQuiet: boolean): Meter {
  const start = performance.now()
  let drawnAt = -REDRAW_MS
  return {
    at(done, total = totalBytes ?? undefined) {
      const now = performance.now()
      if (isQuiet || !cli.isTerminal || (now - drawnAt < REDRAW_MS && done !== total)) return
      process.stderr.write(`\r\x1b[K${describe(name, done, total, (now - start) / 1000)}`)
      drawnAt = now
    },
    end() {
      if (drawnAt >= 0) process.stderr.write('\n')
    },
  }
}

export function describe(name: string, done: number, total: number | undefined, seconds: number): string {
  const speed = seconds > 0 ? `  ${bytes(Math.round(done / seconds))}/s` : ''
  if (total === undefined) return `${name}  ${bytes(done)}${speed}`
  const percent = total === 0 ? 100 : Math.floor((done / total) * 100)
  return `${name} ${bar(percent)}  ${bytes(done)} of ${bytes(total)}${speed}`
}
