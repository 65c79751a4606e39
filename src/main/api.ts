/** The API process: every dialect on one origin. It changes rows and wakes strands; it commands no machine. */
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { createApi } from '../dialects/http/server.ts'
import { leaseweb } from '../dialects/leaseweb/dialect.ts'
import { native } from '../dialects/native/dialect.ts'
import { vpsorg } from '../dialects/vpsorg/dialect.ts'
import { wayscloud } from '../dialects/wayscloud/dialect.ts'
import * as apiKeys from '../services/api-keys.ts'
import * as audit from '../services/audit.ts'
import * as idempotency from '../services/idempotency.ts'
import { KEY_CHANNEL } from '../store/api-keys.ts'
import { EVENT_CHANNEL } from '../store/events.ts'
import { listen } from '../store/listen.ts'
import type { AppContext } from './context.ts'

export interface Api {
  app: FastifyInstance
  /** `http://host:port`, with the port that was bound when the config says 0. */
  url: string
  stop(): Promise<void>
}

export async function startApi(
  context: AppContext,
  options: { logger?: FastifyServerOptions['logger']; checksAnswers?: boolean } = {},
): Promise<Api> {
  const { config, db, settings, compute } = context
  const keyListeners = new Set<() => void>()
  const eventListeners = new Set<() => void>()
  // A lost connection may have lost notices: whoever remembers something forgets it, whoever waits looks.
  const everybody = () => {
    for (const tell of [...keyListeners, ...eventListeners]) tell()
  }
  const listener = listen(
    context.databaseUrl,
    [KEY_CHANNEL, EVENT_CHANNEL],
    (channel) => {
      for (const tell of channel === KEY_CHANNEL ? keyListeners : eventListeners) tell()
    },
    everybody,
  )
  const onEvent = (tell: () => void) => {
    eventListeners.add(tell)
    return () => eventListeners.delete(tell)
  }
  const app = createApi(
    {
      db,
      settings,
      compute,
      limits: config.limits,
      access: {
        authenticate: (text) => apiKeys.authenticate(db, text),
        touch: (id) => apiKeys.touch(db, [id]),
      },
      records: { claim: idempotency.claim, keep: idempotency.keep, audit: audit.record },
      onKeyChange: (tell) => void keyListeners.add(tell),
      logger: options.logger,
      checksAnswers: options.checksAnswers ?? false,
    },
    [native({ onEvent }), wayscloud(), vpsorg(), leaseweb()],
  )
  await app.listen({ host: config.api.host, port: config.api.port })
  const address = app.server.address()
  const port = typeof address === 'object' && address ? address.port : config.api.port
  return {
    app,
    url: `http://${config.api.host.includes(':') ? `[${config.api.host}]` : config.api.host}:${port}`,
    async stop() {
      await listener.close()
      await app.close()
    },
  }
}
