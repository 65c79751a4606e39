/** The control plane of bench/idle.ts: API and worker in one process, which ends with the channel to its parent. */
import { reconcileInstances } from '../src/jobs/instance/reconcile.ts'
import { startApi } from '../src/main/api.ts'
import { bootstrap } from '../src/main/bootstrap.ts'
import { readConfig } from '../src/main/config.ts'
import { buildContext } from '../src/main/context.ts'
import { startWorker } from '../src/main/worker.ts'

export interface Request {
  reconcile: true
}
export interface Reply {
  url: string
  /** How long the reconcile took. */
  ms: number
}

const config = readConfig(process.env)
const context = await buildContext(config, 'up', { databaseUrl: process.env.HAVN_DATABASE_URL! })
await bootstrap(context)
const worker = await startWorker(context)
const { url } = await startApi(context)
process.on('message', async () => {
  const began = performance.now()
  await worker.reconcilers.runNow(reconcileInstances.name)
  process.send?.({ url, ms: performance.now() - began } satisfies Reply)
})
process.on('disconnect', () => process.exit())
process.send?.({ url, ms: 0 } satisfies Reply)
