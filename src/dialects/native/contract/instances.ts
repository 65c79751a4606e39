import { z } from 'zod'
import { INSTANCE_STATES, isHostname, REFERENCE_MAX } from '../../../model/instance.ts'
import { SSH_KEY_LENGTH_MAX } from '../../../model/ssh-key.ts'
import { Plan } from './catalog.ts'
import { All, type Endpoint, listOf, Name, Paging, QueryInt, Ref, Timestamp, V } from './common.ts'
import { Image } from './images.ts'
import { Operation } from './operations.ts'

export const Instance = z
  .object({
    id: z.string(),
    uuid: z.uuid(),
    number: z.int().describe('the same in every dialect'),
    accountId: z.string(),
    name: z.string(),
    hostname: z.string(),
    state: z.enum(INSTANCE_STATES),
    stateReason: z.string().nullable().describe('why it waits or failed'),
    suspendedReason: z.string().nullable(),
    regionId: z.string(),
    plan: Plan,
    image: Image.pick({ id: true, number: true, name: true, family: true, version: true }),
    vcpus: z.int(),
    memoryMib: z.int(),
    diskGib: z.int(),
    ipv4: z.string().nullable(),
    ipv6: z.string().nullable(),
    mac: z.string(),
    hostId: z.string().nullable(),
    sshPort: z
      .int()
      .nullable()
      .describe("on the host's loopback, where addresses have no route; null = the address answers"),
    automaticBackups: z.boolean(),
    reference: z.string().nullable().describe('a note of its owner'),
    canSnapshot: z.boolean().describe('false: an operator allows no snapshots of it'),
    createdAt: Timestamp,
    provisionedAt: Timestamp.nullable().describe('when SSH first answered'),
    startedAt: Timestamp.nullable().describe('start of the present run'),
    updatedAt: Timestamp,
  })
  .meta({ id: 'Instance' })
export type Instance = z.infer<typeof Instance>

const Hostname = z
  .string()
  .refine(isHostname, 'must be a host name: labels of letters, digits and hyphens, 253 characters at most')

const RootPassword = {
  passwordHash: z.string().max(256).optional().describe('crypt(3) form, for root'),
  generatePassword: z.boolean().default(false).describe('make a root password, which its credentials tell'),
}

export const CreateInstance = z
  .strictObject({
    name: Name.describe('what people call it'),
    hostname: Hostname.optional().describe('default: made from the name'),
    planId: z.string().optional().describe('default: the first of `GET /havn/v1/plans`'),
    regionId: z.string().optional().describe('id or alias; default: the first region with a host'),
    imageId: z.string().optional().describe('default: the first available image'),
    backupId: z
      .string()
      .optional()
      .describe('a completed backup, by any of its ids: its disk instead of an image; what is not said is as it was'),
    sshKeys: z.array(z.string().max(SSH_KEY_LENGTH_MAX)).max(100).default([]).describe('OpenSSH public keys'),
    sshKeyIds: z.array(z.string().min(1).max(255)).max(100).default([]).describe('stored keys: id, number or name'),
    ...RootPassword,
    automaticBackups: z.boolean().default(false),
  })
  .meta({ id: 'CreateInstance' })
export type CreateInstance = z.input<typeof CreateInstance>

export const UpdateInstance = z
  .strictObject({
    name: Name.optional(),
    hostname: Hostname.optional().describe('the guest is told at its next start'),
    automaticBackups: z.boolean().optional(),
    reference: z.string().max(REFERENCE_MAX).nullable().optional().describe('a note of your own'),
    canSnapshot: z.boolean().optional().describe('operators only'),
  })
  .meta({ id: 'UpdateInstance', description: 'What is left out stays.' })

export const RebuildInstance = z
  .strictObject({ imageId: z.string().describe('what its new disk begins with'), ...RootPassword })
  .meta({ id: 'RebuildInstance' })

export const ListInstancesQuery = z.strictObject({
  ...Paging,
  ...All,
  state: z.enum(INSTANCE_STATES).optional(),
  region: z.string().optional().describe('id or alias'),
  name: z.string().optional().describe('exact'),
})

export const DeleteInstanceQuery = z.strictObject({
  purge: z.enum(['true', 'false']).optional().describe('`true`: not recoverable, gone at once'),
})

export const InstanceAccepted = z.object({ instance: Instance, operation: Operation }).meta({ id: 'InstanceAccepted' })
export type InstanceAccepted = z.infer<typeof InstanceAccepted>

export const LOG_BYTES_MAX = 4 * 1024 * 1024

export const LogQuery = z.strictObject({
  bytes: QueryInt(1, LOG_BYTES_MAX).default(65_536).describe('the newest so many'),
})

export const InstanceStats = z
  .object({
    measuredAt: Timestamp.nullable().describe('null = never measured'),
    uptimeSeconds: z.int().nullable().describe('null while it does not run'),
    cpuPercent: z.number().nullable().describe('of all its vCPUs together'),
    memoryUsedBytes: z.int().nullable(),
    memoryTotalBytes: z.int().nullable(),
    diskUsedBytes: z.int().nullable(),
    diskTotalBytes: z.int().nullable(),
    networkInBytes: z.int().nullable().describe('since creation'),
    networkOutBytes: z.int().nullable().describe('since creation'),
    diskReadBytes: z.int().nullable().describe('since creation'),
    diskWriteBytes: z.int().nullable().describe('since creation'),
    diskReadOps: z.int().nullable().describe('since creation'),
    diskWriteOps: z.int().nullable().describe('since creation'),
  })
  .meta({ id: 'InstanceStats' })
export type InstanceStats = z.infer<typeof InstanceStats>

const accepted = { method: 'POST', status: 202, params: Ref, answer: InstanceAccepted } as const

export const instancesEndpoints = {
  listInstances: {
    method: 'GET',
    path: `${V}/instances`,
    summary: 'List instances',
    status: 200,
    query: ListInstancesQuery,
    answer: listOf(Instance),
  },
  createInstance: {
    method: 'POST',
    path: `${V}/instances`,
    summary: 'Create an instance',
    status: 201,
    body: CreateInstance,
    answer: InstanceAccepted,
  },
  getInstance: {
    method: 'GET',
    path: `${V}/instances/{id}`,
    summary: 'Get an instance',
    status: 200,
    params: Ref,
    answer: Instance,
  },
  updateInstance: {
    method: 'PATCH',
    path: `${V}/instances/{id}`,
    summary: 'Rename an instance, switch its automatic backups',
    status: 200,
    params: Ref,
    body: UpdateInstance,
    answer: Instance,
  },
  deleteInstance: {
    ...accepted,
    method: 'DELETE',
    path: `${V}/instances/{id}`,
    summary: 'Delete an instance, in any state',
    query: DeleteInstanceQuery,
  },
  startInstance: { ...accepted, path: `${V}/instances/{id}/start`, summary: 'Start an instance' },
  stopInstance: { ...accepted, path: `${V}/instances/{id}/stop`, summary: 'Stop an instance' },
  rebootInstance: { ...accepted, path: `${V}/instances/{id}/reboot`, summary: 'Reboot an instance' },
  rebuildInstance: {
    ...accepted,
    path: `${V}/instances/{id}/rebuild`,
    summary: 'Give an instance another disk, made from an image',
    body: RebuildInstance,
  },
  getInstanceLog: {
    method: 'GET',
    path: `${V}/instances/{id}/log`,
    summary: "Read the serial console's log",
    status: 200,
    params: Ref,
    query: LogQuery,
    produces: 'text/plain; charset=utf-8',
  },
  getInstanceStats: {
    method: 'GET',
    path: `${V}/instances/{id}/stats`,
    summary: 'Get the latest measurement',
    status: 200,
    params: Ref,
    answer: InstanceStats,
  },
} as const satisfies Record<string, Endpoint>
