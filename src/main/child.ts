/**
 * The program of one child process: `node src/main/child.ts api|worker|s3-N`. It ends on SIGTERM, and when its supervisor's
 * channel closes: a supervisor that was killed leaves nobody behind.
 */
import { describeError } from '../model/errors.ts'
import { startApi } from './api.ts'
import { readConfig } from './config.ts'
import { type AppContext, buildContext } from './context.ts'
import { GO } from './keep-running.ts'
import { type RequestLog, requestLog } from './request-log.ts'
import { startS3 } from './s3.ts'
import { startWorker } from './worker.ts'

const END_MS = 8_000
const ORPHAN_END_MS = 2_000 // the next `up` wants to be ready within five seconds

const name = process.argv[2] ?? 'worker'
const kind = name === 'api' ? 'api' : name.startsWith('s3-') ? 's3' : 'worker'
process.title = `havn ${name}`
let stop: (() => Promise<void>) | undefined
let isEnding = false

function end(limitMs: number): void {
  if (isEnding) return
  isEnding = true
  setTimeout(() => process.exit(1), limitMs).unref()
  Promise.resolve(stop?.()).then(
    () => process.exit(0),
    (error) => {
      console.error(`while ending: ${describeError(error)}`)
      process.exit(1)
    },
  )
}
process.on('SIGTERM', () => end(END_MS))
process.on('disconnect', () => end(ORPHAN_END_MS))

/** At once when nobody supervises us. */
function toldToGo(): Promise<void> {
  if (!process.connected) return Promise.resolve()
  return new Promise((resolve) => {
    process.on('message', (message) => message === GO && resolve())
    // The listener would keep us alive after all else has ended.
    process.once('message', () => process.channel?.unref())
  })
}

function start(context: AppContext, log: RequestLog): Promise<{ stop(): Promise<void> }> {
  switch (kind) {
    case 'api':
      return startApi(context, { logger: log.logger })
    case 's3':
      return startS3(context, { log: log.write, sharesPort: true })
    case 'worker':
      return startWorker(context)
  }
}

try {
  await toldToGo()
  const context = await buildContext(readConfig(process.env), kind)
  const complain = (line: string) => console.error(line)
  // Several processes cannot turn one file over.
  const log = requestLog(context.paths.logs, complain, kind === 's3' ? `${name}-requests.log` : 'requests.log')
  const running = await start(context, log)
  stop = async () => {
    await running.stop()
    log.flush()
    await context.close()
  }
  // Something asked for the end while we were starting.
  if (isEnding) process.exit(0)
} catch (error) {
  console.error(describeError(error))
  process.exit(1)
}
