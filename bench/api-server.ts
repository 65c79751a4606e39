/**
 * A process of bench/api.ts, so that servers and load do not share an event loop: `ours` is the API as it is shipped,
 * its request log included; `bare` is bench/bare.ts. Options arrive as JSON in the second argument.
 */
import { mkdir } from 'node:fs/promises'
import { startApi } from '../src/main/api.ts'
import { readConfig } from '../src/main/config.ts'
import { buildContext } from '../src/main/context.ts'
import { requestLog } from '../src/main/request-log.ts'
import { serveBare } from './bare.ts'

const [which, options] = process.argv.slice(2)
process.on('disconnect', () => process.exit())
process.send?.(which === 'ours' ? await serveOurs() : await serveBare(JSON.parse(options!)))

async function serveOurs(): Promise<string> {
  const context = await buildContext(readConfig(process.env), 'api')
  await mkdir(context.paths.logs, { recursive: true })
  return (await startApi(context, { logger: requestLog(context.paths.logs).logger })).url
}
