/** Keys of the S3 protocol. */
import * as accessKeys from '../../services/access-keys.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentAccessKey } from './present/access-keys.ts'
import { whole } from './present/common.ts'

export const listAccessKeys = route({
  ...endpoints.listAccessKeys,
  scope: 'storage:read',
  run: async (ctx) => whole(await accessKeys.list(ctx), presentAccessKey),
})

export const createAccessKey = route({
  ...endpoints.createAccessKey,
  scope: 'storage:write',
  isCreate: true,
  isSecret: true,
  async run(ctx, { body: { name, readOnly, buckets: only }, concerns }) {
    const key = await accessKeys.create(ctx, { name, isReadOnly: readOnly, ...(only && { buckets: only }) })
    concerns(key.accessKeyId)
    return { ...presentAccessKey(key), secretAccessKey: key.secretAccessKey }
  },
})

export const getAccessKey = route({
  ...endpoints.getAccessKey,
  scope: 'storage:write',
  noun: 'access key',
  async run(ctx, { params }) {
    const key = await accessKeys.show(ctx, params.id)
    return { ...presentAccessKey(key), secretAccessKey: key.secretAccessKey }
  },
})

export const revokeAccessKey = route({
  ...endpoints.revokeAccessKey,
  scope: 'storage:write',
  noun: 'access key',
  run: async (ctx, { params }) => presentAccessKey(await accessKeys.revoke(ctx, params.id)),
})

export const getS3Credentials = route({
  ...endpoints.getS3Credentials,
  scope: 'storage:write',
  async run(ctx) {
    const { accessKeyId, secretAccessKey } = await accessKeys.main(ctx)
    return { accessKeyId, secretAccessKey, s3Url: ctx.settings.s3Url, region: ctx.settings.s3Region }
  },
})
