import * as rsyncAccounts from '../../services/backups/rsync-accounts.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentRsyncAccount } from './present/rsync-accounts.ts'

const write = { scope: 'instances:write', reach: 'all', noun: 'rsync account' } as const

export const getRsyncAccount = route({
  ...endpoints.getRsyncAccount,
  ...write,
  isSecret: true,
  run: async (ctx, { params }) => presentRsyncAccount(await rsyncAccounts.get(ctx, params.id)),
})

export const enableRsyncAccount = route({
  ...endpoints.enableRsyncAccount,
  ...write,
  isSecret: true,
  run: async (ctx, { params }) => presentRsyncAccount(await rsyncAccounts.enable(ctx, params.id)),
})

export const disableRsyncAccount = route({
  ...endpoints.disableRsyncAccount,
  ...write,
  async run(ctx, { params }) {
    await rsyncAccounts.disable(ctx, params.id)
    return { enabled: false } as const
  },
})
