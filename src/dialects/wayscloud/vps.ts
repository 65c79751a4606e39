/** WAYSCloud's VPS operations. */
import { z } from 'zod'
import { isUuid } from '../../model/ids.ts'
import { isHostname } from '../../model/instance.ts'
import * as instances from '../../services/instances.ts'
import * as stats from '../../services/stats.ts'
import { Answer, JsonText, route } from '../http/route.ts'
import {
  CreatedVps,
  PowerAnswer,
  presentCreated,
  presentPower,
  presentStatus,
  presentVps,
  statesOf,
  statusWords,
  Vps,
  VpsStatus,
} from './present.ts'

const Path = z.object({ vps_id: z.string().refine(isUuid) })
const noun = 'instance'

const Filter = z.object({
  status: z.string().optional(),
  region: z.string().optional().describe('id or alias'),
})
const VpsList = z
  .object({ instances: z.array(Vps), vps_instances: z.array(Vps).describe('the same once more'), total: z.int() })
  .meta({ id: 'VpsList' })

export const listVps = route({
  method: 'GET',
  path: '/v1/vps',
  summary: 'List VPS',
  scope: 'instances:read',
  status: 200,
  query: Filter,
  answer: VpsList,
  async run(ctx, { query: { status, region }, headers }) {
    const words = statusWords(headers['user-agent'])
    const { items, total } = await instances.list(ctx, {
      ...(status !== undefined && { states: statesOf(words, status) }),
      ...(region !== undefined && { region }),
    })
    const presented = JSON.stringify(items.map((instance) => presentVps(instance, words)))
    return new Answer(new JsonText(`{"instances":${presented},"vps_instances":${presented},"total":${total}}`))
  },
})

const CreateVps = z
  .object({
    hostname: z
      .string()
      .refine(isHostname, 'must be a host name: labels of letters, digits and hyphens, 253 characters at most'),
    plan_code: z.string().min(1),
    region: z.string().min(1),
    os_template: z.string().min(1),
    display_name: z.string().trim().min(1).max(128).nullish().describe('default: the hostname'),
    ssh_keys: z.array(z.string()).nullish(),
  })
  .meta({ id: 'CreateVps' })

export const createVps = route({
  method: 'POST',
  path: '/v1/vps',
  summary: 'Create VPS',
  scope: 'instances:write',
  status: 201,
  isCreate: true,
  refuses: ['insufficient_credit'],
  body: CreateVps,
  answer: CreatedVps,
  async run(ctx, { body, headers, concerns }) {
    const { instance } = await instances.create(ctx, {
      name: body.display_name ?? body.hostname,
      hostname: body.hostname,
      planId: body.plan_code,
      regionId: body.region,
      imageId: body.os_template,
      sshKeys: body.ssh_keys ?? [],
    })
    concerns(instance.id)
    return presentCreated(instance, statusWords(headers['user-agent']))
  },
})

export const getVps = route({
  method: 'GET',
  path: '/v1/vps/{vps_id}',
  summary: 'Get VPS',
  scope: 'instances:read',
  noun,
  status: 200,
  params: Path,
  answer: Vps,
  async run(ctx, { params, headers }) {
    return presentVps(await instances.get(ctx, params.vps_id), statusWords(headers['user-agent']))
  },
})

export const getVpsStatus = route({
  method: 'GET',
  path: '/v1/vps/{vps_id}/status',
  summary: 'Get status',
  scope: 'instances:read',
  noun,
  status: 200,
  params: Path,
  answer: VpsStatus,
  async run(ctx, { params, headers }) {
    const instance = await instances.get(ctx, params.vps_id)
    return presentStatus(instance, await stats.get(ctx, instance.id), statusWords(headers['user-agent']))
  },
})

const power = {
  method: 'POST',
  scope: 'instances:write',
  noun,
  status: 200,
  params: Path,
  answer: PowerAnswer,
} as const

export const startVps = route({
  ...power,
  path: '/v1/vps/{vps_id}/start',
  summary: 'Start VPS',
  async run(ctx, { params }) {
    await instances.start(ctx, params.vps_id, { ifAlready: 'refuse' })
    return presentPower('start')
  },
})

export const stopVps = route({
  ...power,
  path: '/v1/vps/{vps_id}/stop',
  summary: 'Stop VPS',
  async run(ctx, { params }) {
    await instances.stop(ctx, params.vps_id, { ifAlready: 'refuse' })
    return presentPower('stop')
  },
})

export const rebootVps = route({
  ...power,
  path: '/v1/vps/{vps_id}/reboot',
  summary: 'Reboot VPS',
  async run(ctx, { params }) {
    await instances.reboot(ctx, params.vps_id, { ifStopped: 'refuse' })
    return presentPower('reboot')
  },
})

const DeletedVps = z
  .object({ ok: z.boolean(), action: z.literal('delete'), vps_id: z.string() })
  .meta({ id: 'DeletedVps' })

export const deleteVps = route({
  method: 'DELETE',
  path: '/v1/vps/{vps_id}',
  summary: 'Delete VPS',
  scope: 'instances:write',
  noun,
  status: 200,
  params: Path,
  answer: DeletedVps,
  async run(ctx, { params }) {
    const { instance } = await instances.remove(ctx, params.vps_id)
    return { ok: true, action: 'delete' as const, vps_id: instance.uuid }
  },
})

const UpdateVps = z.object({ display_name: z.string().trim().min(1).max(128) }).meta({ id: 'UpdateVps' })

export const updateVps = route({
  method: 'PATCH',
  path: '/v1/vps/{vps_id}',
  summary: 'Rename VPS',
  scope: 'instances:write',
  noun,
  status: 200,
  params: Path,
  body: UpdateVps,
  answer: Vps,
  async run(ctx, { params, body, headers }) {
    const instance = await instances.update(ctx, params.vps_id, { name: body.display_name })
    return presentVps(instance, statusWords(headers['user-agent']))
  },
})
