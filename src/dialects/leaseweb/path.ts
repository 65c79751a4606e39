/** What the paths of this API are made of. */
import { z } from 'zod'
import type { Ctx } from '../../services/ctx.ts'
import * as instances from '../../services/instances.ts'

export const SERVERS = '/cloud/v2/virtualServers'
export const SERVER = `${SERVERS}/{virtualServerId}`
export const noun = 'instance'

/** Ids are decimal digits; whatever else stands there is a server that does not exist. */
export const ServerId = z
  .string()
  .regex(/^[1-9]\d{0,14}$/)
  .transform(Number)
  .meta({ type: 'string' })
export const ServerPath = z.object({ virtualServerId: ServerId })
export const names = (ctx: Ctx, { virtualServerId }: z.output<typeof ServerPath>) => instances.get(ctx, virtualServerId)

/** No body is one without members, so that each member it lacks is named. */
export const orNothing = <S extends z.ZodType>(schema: S) => schema.prefault({} as never)
