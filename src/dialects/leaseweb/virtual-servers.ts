/** Leaseweb's operations on virtual servers themselves. */
import { z } from 'zod'
import { invalidField } from '../../model/errors.ts'
import { REFERENCE_MAX } from '../../model/instance.ts'
import type { Ctx } from '../../services/ctx.ts'
import * as instances from '../../services/instances.ts'
import { route } from '../http/route.ts'
import { Metadata, metadata, Page, pagingOf } from './paging.ts'
import { names, noun, orNothing, SERVER, SERVERS, ServerPath } from './path.ts'
import {
  Job,
  presentServer,
  presentServerJob,
  presentTemplate,
  Template,
  templateId,
  VirtualServer,
} from './present.ts'

export const listVirtualServers = route({
  method: 'GET',
  path: SERVERS,
  summary: 'List virtual servers',
  scope: 'instances:read',
  status: 200,
  query: Page,
  answer: z.object({ virtualServers: z.array(VirtualServer), _metadata: Metadata }),
  async run(ctx, { query }) {
    const page = pagingOf(query)
    const { items, total } = await instances.list(ctx, page)
    return { virtualServers: items.map(presentServer), _metadata: metadata(total, page) }
  },
})

export const getVirtualServer = route({
  method: 'GET',
  path: SERVER,
  summary: 'Inspect a virtual server',
  scope: 'instances:read',
  noun,
  status: 200,
  params: ServerPath,
  names,
  answer: VirtualServer,
  async run(ctx, { params }) {
    return presentServer(await instances.get(ctx, params.virtualServerId))
  },
})

const UpdateServer = z.object({ reference: z.string().max(REFERENCE_MAX) }).meta({ id: 'UpdateVirtualServer' })

/** An empty text takes the reference away. */
export const updateVirtualServer = route({
  method: 'PUT',
  path: SERVER,
  summary: 'Update a virtual server',
  scope: 'instances:write',
  noun,
  status: 200,
  params: ServerPath,
  names,
  body: orNothing(UpdateServer),
  answer: VirtualServer,
  async run(ctx, { params, body }) {
    const instance = await instances.update(ctx, params.virtualServerId, { reference: body.reference || null })
    return presentServer(instance)
  },
})

const power = {
  method: 'POST',
  scope: 'instances:write',
  noun,
  status: 202,
  params: ServerPath,
  names,
  answer: Job,
} as const

export const powerOn = route({
  ...power,
  path: `${SERVER}/powerOn`,
  summary: 'Power on',
  async run(ctx, { params }) {
    const { operation } = await instances.start(ctx, params.virtualServerId, { ifAlready: 'accept' })
    return presentServerJob(operation, 'powerOn')
  },
})

export const powerOff = route({
  ...power,
  path: `${SERVER}/powerOff`,
  summary: 'Power off',
  async run(ctx, { params }) {
    const { operation } = await instances.stop(ctx, params.virtualServerId, { ifAlready: 'accept' })
    return presentServerJob(operation, 'powerOff')
  },
})

export const reboot = route({
  ...power,
  path: `${SERVER}/reboot`,
  summary: 'Reboot; what is stopped is started',
  async run(ctx, { params }) {
    const { operation } = await instances.reboot(ctx, params.virtualServerId, { ifStopped: 'start' })
    return presentServerJob(operation, 'reboot')
  },
})

export const listTemplates = route({
  method: 'GET',
  path: `${SERVER}/templates`,
  summary: 'List the templates that a virtual server can be reinstalled from',
  scope: 'instances:read',
  noun,
  status: 200,
  params: ServerPath,
  names,
  query: Page,
  answer: z.object({ _metadata: Metadata, templates: z.array(Template) }),
  async run(ctx, { params, query }) {
    const page = pagingOf(query)
    const fitting = await instances.images(ctx, params.virtualServerId)
    const templates = fitting.slice(page.offset, page.offset + page.limit).map(presentTemplate)
    return { _metadata: metadata(fitting.length, page), templates }
  },
})

const Reinstall = z
  .object({ operatingSystemId: z.string().describe('id of a template') })
  .meta({ id: 'ReinstallVirtualServer' })

export const reinstall = route({
  ...power,
  path: `${SERVER}/reinstall`,
  summary: 'Reinstall: another disk from a template, another root password, the same addresses',
  body: orNothing(Reinstall),
  async run(ctx, { params, body }) {
    const imageId = await imageOf(ctx, params.virtualServerId, body.operatingSystemId)
    const { operation } = await instances.rebuild(ctx, params.virtualServerId, { imageId, generatePassword: true })
    return presentServerJob(operation, 'reinstall')
  },
})

async function imageOf(ctx: Ctx, server: number, template: string): Promise<string> {
  const image = (await instances.images(ctx, server)).find((one) => templateId(one) === template)
  if (image) return image.id
  throw invalidField('operatingSystemId', 'is not among the templates of this virtual server', template)
}
