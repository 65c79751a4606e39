import * as sshKeys from '../../services/ssh-keys.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { whole } from './present/common.ts'
import { presentSshKey } from './present/ssh-keys.ts'

export const listSshKeys = route({
  ...endpoints.listSshKeys,
  scope: 'instances:read',
  run: async (ctx) => whole(await sshKeys.list(ctx), presentSshKey),
})

export const addSshKey = route({
  ...endpoints.addSshKey,
  scope: 'instances:write',
  isCreate: true,
  async run(ctx, { body, concerns }) {
    const key = await sshKeys.add(ctx, body)
    concerns(key.id)
    return presentSshKey(key)
  },
})

export const deleteSshKey = route({
  ...endpoints.deleteSshKey,
  scope: 'instances:write',
  noun: 'SSH key',
  run: async (ctx, { params }) => presentSshKey(await sshKeys.remove(ctx, params.id)),
})
