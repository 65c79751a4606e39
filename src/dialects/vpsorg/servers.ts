/** VPS.org's nine operations. */
import { z } from 'zod'
import { defined } from '../../lib/defined.ts'
import { notFound } from '../../model/errors.ts'
import { isHostname } from '../../model/instance.ts'
import type { Ctx } from '../../services/ctx.ts'
import * as instances from '../../services/instances.ts'
import * as metrics from '../../services/metrics.ts'
import { Answer, route } from '../http/route.ts'
import {
  CreatedServer,
  PowerAnswer,
  presentCreated,
  presentDetail,
  presentPower,
  presentServer,
  Server,
  ServerDetail,
  statusFilter,
} from './present.ts'

const SERVERS = '/api/v1/servers/'
const SERVER = '/api/v1/servers/{server_id}/'
const noun = 'server'
const Path = z.object({
  server_id: z
    .string()
    .regex(/^[1-9]\d{0,14}$/)
    .transform(Number)
    .meta({ type: 'integer' }),
})
const names = (ctx: Ctx, { server_id }: z.output<typeof Path>) => instances.get(ctx, server_id)

/** An empty filter is none. */
const Word = z
  .string('Not a valid string.')
  .transform((text) => text || undefined)
  .optional()
const PAGE_SIZE_MAX = 100
const PAGE_SIZE_DEFAULT = 20
const PAGE_SIZE_RULE = `Ensure this value is a whole number from 1 to ${PAGE_SIZE_MAX}.`
const Filter = z.object({
  status: Word.describe('active, stopped, suspended …; exact'),
  location: Word.describe('code of a place; exact'),
  page: z
    .string('Not a valid string.')
    .optional()
    .describe('from 1; without `page` and `page_size` all servers are listed'),
  page_size: z
    .string(PAGE_SIZE_RULE)
    .regex(/^\d{1,12}$/, PAGE_SIZE_RULE)
    .transform(Number)
    .pipe(z.int().min(1, PAGE_SIZE_RULE).max(PAGE_SIZE_MAX, PAGE_SIZE_RULE))
    .meta({ type: 'integer' })
    .optional()
    .describe(`of \`page\`; default ${PAGE_SIZE_DEFAULT}`),
})
const ServerList = z.object({ count: z.int(), results: z.array(Server) }).meta({ id: 'ServerList' })

export const listServers = route({
  method: 'GET',
  path: SERVERS,
  summary: 'List servers',
  scope: 'instances:read',
  refuses: ['not_found'], // a page
  status: 200,
  query: Filter,
  answer: ServerList,
  async run(ctx, { query: { status, location, page, page_size: size } }) {
    const { number, limits } = pageOf(page, size)
    const { items, total } = await instances.list(ctx, {
      ...(status !== undefined && statusFilter(status)),
      ...(location !== undefined && { region: location }),
      ...limits,
    })
    if (items.length === 0 && number > 1) throw notFound('page', String(number))
    return { count: total, results: items.map(presentServer) }
  },
})

function pageOf(page: string | undefined, size: number | undefined) {
  if (page === undefined && size === undefined) return { number: 1, limits: {} }
  const [number, limit] = [Number(page ?? '1'), size ?? PAGE_SIZE_DEFAULT]
  if (!/^\d{1,12}$/.test(page ?? '1') || number < 1) throw notFound('page', String(page))
  return { number, limits: { limit, offset: (number - 1) * limit } }
}

const BLANK = { error: 'This field may not be blank.', abort: true }
const Text = z.string('Not a valid string.').trim().min(1, BLANK)
const NAME_MAX = 63
const Name = Text.max(NAME_MAX, `Ensure this field has no more than ${NAME_MAX} characters.`).regex(
  /^(?=.*[a-z0-9])[a-z0-9-]+$/i,
  'Enter letters, digits and hyphens only.',
)
const Hostname = Text.refine(isHostname, 'Enter a valid host name.')
const Id = z.int('A valid integer is required.')
const Flag = z.boolean('Must be a valid boolean.')
/** No body is a body without members: every field that it lacks is named. */
const orNothing = <S extends z.ZodType>(schema: S) => schema.prefault({} as never)
const NO_OBJECT = 'Invalid data. Expected a JSON object.'

const CreateServer = z
  .object(
    {
      name: Name,
      plan_id: Id,
      os_id: Id,
      location: Text,
      hostname: Hostname.nullish().describe('default: made from the name'),
      ssh_key_id: Id.nullish().describe('of a stored SSH key'),
      backups_enabled: Flag.default(false),
    },
    NO_OBJECT,
  )
  .meta({ id: 'CreateServer' })

export const createServer = route({
  method: 'POST',
  path: SERVERS,
  summary: 'Create a server',
  scope: 'instances:write',
  status: 201,
  isCreate: true,
  refuses: ['insufficient_credit'],
  body: orNothing(CreateServer),
  answer: CreatedServer,
  async run(ctx, { body, concerns }) {
    const { instance } = await instances.create(ctx, {
      name: body.name,
      planId: body.plan_id,
      imageId: body.os_id,
      regionId: body.location,
      ...(body.hostname && { hostname: body.hostname }),
      ...passwordOrKey(body.ssh_key_id),
      automaticBackups: body.backups_enabled,
    })
    concerns(instance.id)
    return presentCreated(instance)
  },
})

/** Who brings no key would have no way in: a root password is made, which the credentials of the instance tell. */
const passwordOrKey = (sshKeyId: number | null | undefined) =>
  sshKeyId === null || sshKeyId === undefined ? { generatePassword: true } : { sshKeyIds: [sshKeyId] }

export const getServer = route({
  method: 'GET',
  path: SERVER,
  summary: 'Get a server',
  scope: 'instances:read',
  noun,
  status: 200,
  params: Path,
  names,
  answer: ServerDetail,
  async run(ctx, { params }) {
    const instance = await instances.get(ctx, params.server_id)
    return presentDetail(instance, await metrics.usageOf(ctx, instance))
  },
})

const UpdateServer = z
  .object({ name: Name, hostname: Hostname, backups_enabled: Flag }, NO_OBJECT)
  .meta({ id: 'UpdateServer' })
const PatchServer = UpdateServer.partial().meta({ id: 'PatchServer' })

const update = {
  path: SERVER,
  scope: 'instances:write',
  noun,
  status: 200,
  params: Path,
  names,
  answer: ServerDetail,
} as const

export const updateServer = route({
  ...update,
  method: 'PUT',
  summary: 'Update a server, every field',
  body: orNothing(UpdateServer),
  run: (ctx, { params, body }) => updated(ctx, params.server_id, body),
})

export const patchServer = route({
  ...update,
  method: 'PATCH',
  summary: 'Update some fields of a server',
  body: orNothing(PatchServer),
  run: (ctx, { params, body }) => updated(ctx, params.server_id, body),
})

type Patch = z.infer<typeof PatchServer>

async function updated(ctx: Ctx, number: number, { backups_enabled: automaticBackups, ...body }: Patch) {
  const instance = await instances.update(ctx, number, defined({ ...body, automaticBackups }))
  return presentDetail(instance, await metrics.usageOf(ctx, instance))
}

export const deleteServer = route({
  method: 'DELETE',
  path: SERVER,
  summary: 'Delete a server, in any state',
  scope: 'instances:write',
  noun,
  status: 204,
  params: Path,
  names,
  async run(ctx, { params }) {
    await instances.remove(ctx, params.server_id)
    return new Answer(undefined)
  },
})

const power = {
  method: 'POST',
  scope: 'instances:write',
  noun,
  status: 200,
  params: Path,
  names,
  answer: PowerAnswer,
} as const

export const startServer = route({
  ...power,
  path: `${SERVER}start/`,
  summary: 'Start a server',
  async run(ctx, { params }) {
    return presentPower((await instances.start(ctx, params.server_id, { ifAlready: 'refuse' })).instance)
  },
})

export const stopServer = route({
  ...power,
  path: `${SERVER}stop/`,
  summary: 'Stop a server',
  async run(ctx, { params }) {
    return presentPower((await instances.stop(ctx, params.server_id, { ifAlready: 'refuse' })).instance)
  },
})

export const rebootServer = route({
  ...power,
  path: `${SERVER}reboot/`,
  summary: 'Reboot a server',
  async run(ctx, { params }) {
    return presentPower((await instances.reboot(ctx, params.server_id, { ifStopped: 'refuse' })).instance)
  },
})
