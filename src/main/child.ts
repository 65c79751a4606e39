/**
 * The program of one child process: `node src/main/child.ts api|worker`. It ends on SIGTERM, and when its supervisor's
 * channel closes: a supervisor that was killed leaves nobody behind.
 */
import { describeError } from '../model/errors.ts'
import { startApi } from './api.ts'
import { readConfig } from './config.ts'
import { buildContext } from './context.ts'
import { GO } from './keep-running.ts'
import { requestLog } from './request-log.ts'
import { startWorker } from './worker.ts'

const END_MS = 8_000
const ORPHAN_END_MS = 2_000 // the next `up` wants to be ready within five seconds

const which = process.argv[2] === 'api' ? 'api' : 'worker'
process.title = `havn ${which}`
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

try {
  await toldToGo()
  const context = await buildContext(readConfig(process.env), which)
  const log = requestLog(context.paths.logs)
  const running = which === 'api' ? await startApi(context, { logger: log.logger }) : await startWorker(context)
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
