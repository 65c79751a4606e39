/** What the server is given, and what it knows of one request so far: shared by all that handle a part of the request. */
import type { FastifyRequest, FastifyServerOptions } from 'fastify'
import type { Ctx } from '../../services/ctx.ts'
import type { Access, Principal } from './auth.ts'
import type { Records } from './change.ts'
import type { Limits } from './limits.ts'
import type { Metrics } from './metrics.ts'
import type { Dialect, Route } from './route.ts'

export interface ApiContext {
  db: Ctx['db']
  settings: Ctx['settings']
  compute: Ctx['compute']
  limits: Limits
  access: Access
  records: Records
  /** Absent: credentials are looked up anew for every request. */
  onKeyChange?: ((listener: () => void) => void) | undefined
  logger?: FastifyServerOptions['logger'] | undefined
  metrics?: Metrics
  /** Tests: an answer that does not fit its schema is a bug. */
  checksAnswers?: boolean
}

/** What the room adds. */
export interface RoomContext extends ApiContext {
  /** Aborted when the server closes. */
  closing: AbortSignal
}

/** What is known of one request so far. */
export interface Call {
  dialect: Dialect
  route: Route | null
  principal: Principal | null
  hasCredential: boolean
  allowedMethods: readonly string[]
  bodyBytes: Buffer | undefined
  resourceId: string | null
  errorCode: string | null
}

declare module 'fastify' {
  interface FastifyRequest {
    call: Call
  }
  interface FastifyContextConfig {
    dialect?: Dialect
    route?: Route
    allowedMethods?: readonly string[]
  }
}

export const auditEntry = (request: FastifyRequest, status: number) => ({
  accountId: request.call.principal?.accountId ?? null,
  apiKeyId: request.call.principal?.apiKeyId ?? null,
  address: request.ip || null,
  requestId: request.id,
  dialect: request.call.dialect.name,
  method: request.method,
  path: pathOf(request.url).replaceAll('\0', '').slice(0, 512),
  resourceId: request.call.resourceId,
  status,
  errorCode: request.call.errorCode,
})

export const pathOf = (url: string): string => url.split('?', 1)[0]!
