/**
 * The log of a process that serves requests: each as one JSON line in `logs/requests.log` (or a file of its own), and
 * what somebody should look at also as a readable line on standard error, from where it reaches the supervisor's log.
 * Lines are gathered for a moment, because a write for each would cost more than many a request.
 */
import { join } from 'node:path'
import type { FastifyServerOptions } from 'fastify'
import { describeError } from '../model/errors.ts'
import { append } from './log.ts'

const GATHER_MS = 200
// pino's numbers: 30 info, 40 warn, 50 error. Nearly every line is the first kind and need not be parsed again.
const INFO = '{"level":30,'
const WARN = 40

interface Entry {
  level: number
  msg?: string
  requestId?: string
  chain?: string
  err?: { message?: string }
}

export function requestLog(
  folder: string,
  complain = (line: string) => console.error(line),
  name = 'requests.log',
): RequestLog {
  const file = join(folder, name)
  let lines: string[] = []
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (lines.length === 0) return
    const text = lines.join('\n')
    lines = []
    try {
      append(file, text)
    } catch (error) {
      // A full disk must not end the API.
      complain(`cannot write ${file}: ${describeError(error)}`)
    }
  }
  const stream = {
    write(line: string): void {
      lines.push(line.trimEnd())
      timer ??= setTimeout(flush, GATHER_MS)
      if (line.startsWith(INFO)) return
      const entry = JSON.parse(line) as Entry
      if (entry.level >= WARN) complain(sentence(entry))
      if (entry.level > WARN) flush()
    },
  }
  return {
    write: stream.write,
    logger: { level: 'info', base: null, timestamp: () => `,"time":"${new Date().toISOString()}"`, stream },
    flush,
  }
}

export interface RequestLog {
  logger: NonNullable<FastifyServerOptions['logger']>
  /** A line as pino would write it. */
  write(line: string): void
  /** Writes what is still gathered. */
  flush(): void
}

const sentence = ({ msg, chain, err, requestId }: Entry): string =>
  [msg, chain ?? err?.message].filter(Boolean).join(': ') + (requestId ? ` (request ${requestId})` : '')
