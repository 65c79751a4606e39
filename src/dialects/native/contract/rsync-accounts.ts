import { z } from 'zod'
import { Bytes, type Endpoint, Ref, Timestamp, V } from './common.ts'

export const RsyncAccount = z
  .object({
    username: z.int().describe('the name of the rsync module as well'),
    password: z.string(),
    host: z.string(),
    port: z.int(),
    quotaBytes: z.int(),
    usedBytes: Bytes.describe('on the disk; null = not measured yet'),
    measuredAt: Timestamp.nullable(),
  })
  .meta({ id: 'RsyncAccount' })
export type RsyncAccount = z.infer<typeof RsyncAccount>

const RsyncOff = z.object({ enabled: z.literal(false) }).meta({ id: 'RsyncOff' })

const RSYNC = `${V}/instances/{id}/rsync-account`

export const rsyncAccountsEndpoints = {
  getRsyncAccount: {
    method: 'GET',
    path: RSYNC,
    summary: 'Get where an instance sends files with rsync; not found while that is off',
    status: 200,
    params: Ref,
    answer: RsyncAccount,
  },
  enableRsyncAccount: {
    method: 'PUT',
    path: RSYNC,
    summary: 'Let an instance send files with rsync; an account that was there before has its files and password',
    status: 200,
    params: Ref,
    answer: RsyncAccount,
  },
  disableRsyncAccount: {
    method: 'DELETE',
    path: RSYNC,
    summary: 'Let nobody in any more; the files stay until the instance is purged',
    status: 200,
    params: Ref,
    answer: RsyncOff,
  },
} as const satisfies Record<string, Endpoint>
