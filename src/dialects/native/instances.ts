import { defined } from '../../lib/defined.ts'
import * as instances from '../../services/instances.ts'
import * as stats from '../../services/stats.ts'
import { Answer, route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { page } from './present/common.ts'
import { presentInstance, presentStats } from './present/instances.ts'
import { presentOperation } from './present/operations.ts'

const noun = 'instance'
const read = { scope: 'instances:read', reach: 'all', noun } as const
const write = { scope: 'instances:write', reach: 'all', noun } as const

const accepted = ({
  instance,
  operation,
}: {
  instance: instances.Instance
  operation: instances.Accepted['operation']
}) => ({
  instance: presentInstance(instance),
  operation: presentOperation(operation),
})

export const listInstances = route({
  ...endpoints.listInstances,
  scope: 'instances:read',
  reach: 'asked',
  async run(ctx, { query: { all: _, state, ...filter } }) {
    const states = state === undefined ? {} : { states: [state] }
    return page(await instances.list(ctx, { ...states, ...defined(filter) }), presentInstance)
  },
})

export const createInstance = route({
  ...endpoints.createInstance,
  scope: 'instances:write',
  isCreate: true,
  refuses: ['insufficient_credit'],
  async run(ctx, { body, concerns }) {
    const made = await instances.create(ctx, defined(body))
    concerns(made.instance.id)
    return accepted(made)
  },
})

export const getInstance = route({
  ...endpoints.getInstance,
  ...read,
  run: async (ctx, { params }) => presentInstance(await instances.get(ctx, params.id)),
})

export const updateInstance = route({
  ...endpoints.updateInstance,
  ...write,
  run: async (ctx, { params, body }) => presentInstance(await instances.update(ctx, params.id, defined(body))),
})

export const deleteInstance = route({
  ...endpoints.deleteInstance,
  ...write,
  run: async (ctx, { params, query }) =>
    accepted(await instances.remove(ctx, params.id, { purge: query.purge === 'true' })),
})

export const startInstance = route({
  ...endpoints.startInstance,
  ...write,
  run: async (ctx, { params }) => accepted(await instances.start(ctx, params.id, { ifAlready: 'refuse' })),
})

export const stopInstance = route({
  ...endpoints.stopInstance,
  ...write,
  run: async (ctx, { params }) => accepted(await instances.stop(ctx, params.id, { ifAlready: 'refuse' })),
})

export const rebootInstance = route({
  ...endpoints.rebootInstance,
  ...write,
  run: async (ctx, { params }) => accepted(await instances.reboot(ctx, params.id, { ifStopped: 'refuse' })),
})

export const rebuildInstance = route({
  ...endpoints.rebuildInstance,
  ...write,
  run: async (ctx, { params, body }) => accepted(await instances.rebuild(ctx, params.id, defined(body))),
})

export const getInstanceLog = route({
  ...endpoints.getInstanceLog,
  ...read,
  async run(ctx, { params, query }) {
    const log = await instances.log(ctx, params.id, query.bytes)
    return new Answer(log, { type: endpoints.getInstanceLog.produces })
  },
})

export const getInstanceStats = route({
  ...endpoints.getInstanceStats,
  ...read,
  run: async (ctx, { params }) => presentStats(await stats.get(ctx, params.id)),
})
