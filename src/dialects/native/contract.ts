/**
 * The native API's contract: every request and answer as a schema, every call as data. The server validates with it and
 * makes its OpenAPI document of it; the CLI and the console import the contract and nothing else of the server, so what
 * compiles against it is what the wire carries. Object storage has its part in `contract-storage.ts`.
 *
 * Conventions: camelCase; units last (`memoryMib`, `diskGib`); money in minor units; times are ISO 8601 in UTC; lists
 * are `{items, total}` with `limit` (at most 1000) and `offset`; an id in a path may be the text id, the UUID, the
 * number or the name. Work that outlives the call answers 202 with the `operation` to poll. An error is
 * `{error: {code, message, issues?, requestId}}`.
 */
import { z } from 'zod'
import { IMAGE_STATES } from '../../model/catalog.ts'
import { CREDENTIAL_PASSWORD_MAX, CREDENTIAL_TYPES, CREDENTIAL_USERNAME_MAX } from '../../model/credential.ts'
import { ERROR_CODES } from '../../model/errors.ts'
import { INSTANCE_STATES, isHostname, REFERENCE_MAX } from '../../model/instance.ts'
import { SCOPES, SERVICES } from '../../model/scopes.ts'
import { SSH_KEY_LENGTH_MAX } from '../../model/ssh-key.ts'
import { backupsEndpoints } from './contract-backups.ts'
import {
  All,
  type Endpoint,
  listOf,
  Name,
  Operation,
  PageAllQuery,
  PageQuery,
  Paging,
  QueryInt,
  Ref,
  Timestamp,
  V,
} from './contract-common.ts'
import { metricsEndpoints } from './contract-metrics.ts'
import { snapshotsEndpoints } from './contract-snapshots.ts'
import { storageEndpoints } from './contract-storage.ts'

const Email = z.email().max(254)

// ---- errors

export const ErrorBody = z
  .object({
    error: z.object({
      code: z.enum([...ERROR_CODES, 'internal']),
      message: z.string().describe('for people; says what to do'),
      issues: z
        .array(
          z.object({
            where: z.enum(['body', 'query', 'path', 'header']),
            path: z.array(z.union([z.string(), z.number()])),
            code: z.string(),
            message: z.string(),
          }),
        )
        .optional(),
      requestId: z.string(),
    }),
  })
  .meta({ id: 'Error' })

// ---- the catalogue

export const Region = z
  .object({
    id: z.string(),
    name: z.string(),
    country: z.string(),
    city: z.string(),
    aliases: z.array(z.string()),
    available: z.boolean().describe('a host stands there'),
  })
  .meta({ id: 'Region' })

export const Plan = z
  .object({
    id: z.string(),
    number: z.int(),
    name: z.string(),
    vcpus: z.int(),
    memoryMib: z.int(),
    diskGib: z.int(),
    trafficTb: z.number().describe('a month'),
    priceMonthlyMinor: z.int().describe('in minor units of `currency`'),
    currency: z.string(),
  })
  .meta({ id: 'Plan' })

export const Image = z
  .object({
    id: z.string(),
    number: z.int(),
    name: z.string(),
    family: z.string(),
    version: z.string(),
    isWindows: z.boolean(),
    minMemoryMib: z.int(),
    minDiskGib: z.int(),
    builder: z.enum(['micro', 'debian']).nullable().describe('can be built here'),
    state: z.enum(IMAGE_STATES),
    stateReason: z.string().nullable(),
    digest: z.string().nullable().describe('SHA-256 of the installed file'),
    virtualBytes: z.int().nullable(),
    fileBytes: z.int().nullable(),
    updatedAt: Timestamp,
  })
  .meta({ id: 'Image' })

// ---- operations

export { Operation }
export const ListOperationsQuery = z.strictObject({
  ...Paging,
  ...All,
  open: z.enum(['true', 'false']).optional().describe('`true`: only those that are not over'),
  resourceId: z.string().optional(),
})

// ---- instances

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

const CredentialFields = {
  type: z.enum(CREDENTIAL_TYPES),
  username: z
    .string()
    .min(1)
    .max(CREDENTIAL_USERNAME_MAX)
    .regex(/^[^\p{Cc}]+$/u, 'must not hold control characters'),
}
const Password = z.string().min(1).max(CREDENTIAL_PASSWORD_MAX)
export const Credential = z
  .object({ type: z.enum(CREDENTIAL_TYPES), username: z.string(), createdAt: Timestamp, updatedAt: Timestamp })
  .meta({ id: 'Credential' })
export const ListCredentialsQuery = z.strictObject({ ...Paging, type: z.enum(CREDENTIAL_TYPES).optional() })
export const PutCredential = z
  .strictObject({ ...CredentialFields, password: Password })
  .meta({ id: 'PutCredential', description: 'Kept for you; nothing is changed inside the instance.' })
export const RevealCredential = z.strictObject(CredentialFields).meta({ id: 'RevealCredential' })
export const CredentialSecret = z
  .object({ type: z.enum(CREDENTIAL_TYPES), username: z.string(), password: z.string() })
  .meta({ id: 'CredentialSecret' })

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

// ---- images

const Sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/i, 'must be 64 hexadecimal digits')
  .transform((text) => text.toLowerCase())
export const ImportImage = z
  .strictObject({
    source: z
      .discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('url'), url: z.url({ protocol: /^https?$/ }).max(4096) }),
        z.strictObject({ kind: z.literal('upload') }).describe('what `PUT …/upload` has stored'),
      ])
      .describe('where the file comes from'),
    format: z.enum(['qcow2', 'raw']).default('qcow2').describe('never guessed'),
    sha256: Sha256.optional().describe('of the file as it comes; checked before anything reads it'),
  })
  .meta({ id: 'ImportImage' })
export const ImageAccepted = z.object({ image: Image, operation: Operation }).meta({ id: 'ImageAccepted' })
export const Upload = z
  .object({ receivedBytes: z.int(), totalBytes: z.int().nullable(), isComplete: z.boolean() })
  .meta({ id: 'Upload' })

// ---- the operator's view

export const Host = z
  .object({
    id: z.string(),
    name: z.string(),
    regionId: z.string(),
    driver: z.string(),
    isOnline: z.boolean(),
    vcpus: z.int().nullable().describe('that may be sold; null = unlimited'),
    memoryMib: z.int().nullable(),
    diskBytes: z.int().nullable(),
    diskFreeBytes: z.int().nullable(),
    usedVcpus: z.int(),
    usedMemoryMib: z.int(),
    instances: z.int(),
    facts: z.record(z.string(), z.unknown()).describe('accelerator, versions …'),
    seenAt: Timestamp,
  })
  .meta({ id: 'Host' })

export const Incident = z
  .object({
    id: z.string(),
    number: z.int(),
    strandId: z.string().describe('the id of the instance or image that is stuck'),
    kind: z.string().describe('`deadline`, `crash-loop` …'),
    step: z.string().nullable(),
    message: z.string(),
    openedAt: Timestamp,
    resolvedAt: Timestamp.nullable(),
    resolution: z.string().nullable(),
  })
  .meta({ id: 'Incident' })
export const ListIncidentsQuery = z.strictObject({
  ...Paging,
  state: z.enum(['open', 'all']).default('open'),
})

export const AuditEntry = z
  .object({
    id: z.string(),
    at: Timestamp,
    accountId: z.string().nullable(),
    apiKeyId: z.string().nullable(),
    address: z.string().nullable(),
    requestId: z.string(),
    dialect: z.string(),
    method: z.string(),
    path: z.string(),
    resourceId: z.string().nullable(),
    status: z.int(),
    errorCode: z.string().nullable(),
  })
  .meta({ id: 'AuditEntry' })

export const Status = z
  .object({
    version: z.string(),
    compute: z.string(),
    apiUrl: z.string(),
    s3Url: z.string(),
    dnsAddress: z.string(),
    isReady: z.boolean().describe('the database answers and a worker was seen lately'),
    problems: z.array(z.string()).describe('why it is not ready'),
    instances: z.record(z.string(), z.int()).describe('how many are in each state; of every account for an operator'),
    openOperations: z.array(Operation).describe('at most 20, the newest first'),
    openIncidents: z.int().nullable().describe('operators only'),
    hosts: z.array(Host).nullable().describe('operators only'),
  })
  .meta({ id: 'Status' })

// ---- accounts and keys

export const Account = z
  .object({
    id: z.string(),
    uuid: z.uuid(),
    number: z.int(),
    email: z.string(),
    name: z.string(),
    isOperator: z.boolean(),
    creditMinor: z.int().nullable().describe('null = unlimited'),
    suspendedReason: z.string().nullable(),
    createdAt: Timestamp,
  })
  .meta({ id: 'Account' })
const CreditMinor = z.int().min(0).nullable().describe('in minor units of the currency of the plans; null = unlimited')

export const CreateAccount = z
  .strictObject({
    email: Email,
    name: Name.optional().describe('default: the e-mail'),
    isOperator: z.boolean().default(false),
    creditMinor: CreditMinor.default(null),
  })
  .meta({ id: 'CreateAccount' })
export const SetCredit = z.strictObject({ creditMinor: CreditMinor }).meta({ id: 'SetCredit' })
export const Credit = z
  .object({
    creditMinor: CreditMinor,
    committedMinor: z.int().describe('what the instances of the account cost a month'),
  })
  .meta({ id: 'Credit', description: 'A new instance is refused when its price a month is more than what is left.' })
/** The fields of `credentials.json`. */
export const Credentials = z
  .object({
    email: z.string(),
    apiKey: z.string(),
    consolePassword: z.string(),
    s3AccessKeyId: z.string(),
    s3SecretAccessKey: z.string(),
    apiUrl: z.string(),
    s3Url: z.string(),
    dnsAddress: z.string(),
  })
  .meta({ id: 'Credentials', description: 'Shown once.' })

export const Key = z
  .object({
    id: z.string(),
    name: z.string(),
    service: z.enum(SERVICES),
    keyId: z.string().describe('the part of the key that is no secret'),
    scopes: z.array(z.enum(SCOPES)),
    expiresAt: Timestamp.nullable(),
    revokedAt: Timestamp.nullable(),
    lastUsedAt: Timestamp.nullable(),
    createdAt: Timestamp,
  })
  .meta({ id: 'Key' })
export const CreateKey = z
  .strictObject({
    name: Name,
    service: z.enum(SERVICES).default('api').describe('`api` and `pat` open every service, the others their own'),
    scopes: z.array(z.enum(SCOPES)).min(1).optional().describe('default: all that the service allows'),
    readOnly: z.boolean().default(false),
    expiresAt: Timestamp.optional(),
  })
  .meta({ id: 'CreateKey' })
export const CreatedKey = z
  .object({ key: Key, apiKey: z.string().describe('the text of the key, shown once') })
  .meta({ id: 'CreatedKey' })

// ---- SSH keys

export const SshKey = z
  .object({
    id: z.string(),
    uuid: z.uuid(),
    number: z.int(),
    name: z.string(),
    publicKey: z.string(),
    fingerprint: z.string().describe('as `ssh-keygen -l` prints it'),
    createdAt: Timestamp,
  })
  .meta({ id: 'SshKey' })
export const AddSshKey = z
  .strictObject({ name: Name, publicKey: z.string().max(SSH_KEY_LENGTH_MAX).describe('one OpenSSH line') })
  .meta({ id: 'AddSshKey' })

// ---- events

/** One server-sent event: `id:` resumes with `Last-Event-ID`, `event:` is the kind, `data:` is this. */
export const CloudEvent = z
  .object({
    id: z.string(),
    at: Timestamp,
    kind: z.string().describe('for example `instance.state`'),
    accountId: z.string().nullable(),
    resourceId: z.string(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'Event' })
export const EventsQuery = z.strictObject({
  ...All,
  after: z.string().max(64).optional().describe('like the header Last-Event-ID, for clients that cannot set it'),
})

// ---- the calls

const accepted = { method: 'POST', status: 202, params: Ref, answer: InstanceAccepted } as const

export const endpoints = {
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
  listCredentials: {
    method: 'GET',
    path: `${V}/instances/{id}/credentials`,
    summary: 'List the credentials of an instance, without their passwords',
    status: 200,
    params: Ref,
    query: ListCredentialsQuery,
    answer: listOf(Credential),
  },
  putCredential: {
    method: 'PUT',
    path: `${V}/instances/{id}/credentials`,
    summary: 'Write a credential of an instance down, in place of the one of that type and user name',
    status: 200,
    params: Ref,
    body: PutCredential,
    answer: Credential,
  },
  revealCredential: {
    method: 'POST',
    path: `${V}/instances/{id}/credentials/reveal`,
    summary: 'Tell a password; who asks is on record',
    status: 200,
    params: Ref,
    body: RevealCredential,
    answer: CredentialSecret,
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

  listOperations: {
    method: 'GET',
    path: `${V}/operations`,
    summary: 'List operations',
    status: 200,
    query: ListOperationsQuery,
    answer: listOf(Operation),
  },
  getOperation: {
    method: 'GET',
    path: `${V}/operations/{id}`,
    summary: 'Get an operation',
    status: 200,
    params: Ref,
    answer: Operation,
  },

  listRegions: { method: 'GET', path: `${V}/regions`, summary: 'List regions', status: 200, answer: listOf(Region) },
  listPlans: { method: 'GET', path: `${V}/plans`, summary: 'List plans', status: 200, answer: listOf(Plan) },

  listImages: {
    method: 'GET',
    path: `${V}/images`,
    summary: 'List images, installed or not',
    status: 200,
    answer: listOf(Image),
  },
  buildImage: {
    method: 'POST',
    path: `${V}/images/{id}/build`,
    summary: 'Build an image here',
    status: 202,
    params: Ref,
    answer: ImageAccepted,
  },
  importImage: {
    method: 'POST',
    path: `${V}/images/{id}/import`,
    summary: 'Import an image file from a URL or an upload',
    status: 202,
    params: Ref,
    body: ImportImage,
    answer: ImageAccepted,
  },
  uploadImage: {
    method: 'PUT',
    path: `${V}/images/{id}/upload`,
    summary: 'Upload an image file, whole or in parts (Content-Range)',
    status: 200,
    params: Ref,
    consumes: 'application/octet-stream',
    answer: Upload,
  },
  deleteImage: {
    method: 'DELETE',
    path: `${V}/images/{id}`,
    summary: 'Remove the installed file of an image',
    status: 200,
    params: Ref,
    answer: Image,
  },

  listHosts: { method: 'GET', path: `${V}/hosts`, summary: 'List hosts', status: 200, answer: listOf(Host) },
  listIncidents: {
    method: 'GET',
    path: `${V}/incidents`,
    summary: 'List incidents',
    status: 200,
    query: ListIncidentsQuery,
    answer: listOf(Incident),
  },
  recoverIncident: {
    method: 'POST',
    path: `${V}/incidents/{id}/recover`,
    summary: 'Try the stuck step again',
    status: 200,
    params: Ref,
    answer: Incident,
  },

  listAccounts: {
    method: 'GET',
    path: `${V}/accounts`,
    summary: 'List accounts',
    status: 200,
    query: PageQuery,
    answer: listOf(Account),
  },
  createAccount: {
    method: 'POST',
    path: `${V}/accounts`,
    summary: 'Create an account with its credentials',
    status: 201,
    body: CreateAccount,
    answer: Credentials,
  },
  getAccount: {
    method: 'GET',
    path: `${V}/account`,
    summary: "Get the caller's account",
    status: 200,
    answer: Account,
  },
  getCredit: {
    method: 'GET',
    path: `${V}/account/credit`,
    summary: "Get the caller's credit and what is committed of it",
    status: 200,
    answer: Credit,
  },
  getCreditOf: {
    method: 'GET',
    path: `${V}/accounts/{id}/credit`,
    summary: 'Get the credit of an account',
    status: 200,
    params: Ref,
    answer: Credit,
  },
  setCredit: {
    method: 'PUT',
    path: `${V}/accounts/{id}/credit`,
    summary: 'Set the credit of an account',
    status: 200,
    params: Ref,
    body: SetCredit,
    answer: Credit,
  },
  listSshKeys: {
    method: 'GET',
    path: `${V}/ssh-keys`,
    summary: 'List stored SSH keys',
    status: 200,
    answer: listOf(SshKey),
  },
  addSshKey: {
    method: 'POST',
    path: `${V}/ssh-keys`,
    summary: 'Store an SSH key',
    status: 201,
    body: AddSshKey,
    answer: SshKey,
  },
  deleteSshKey: {
    method: 'DELETE',
    path: `${V}/ssh-keys/{id}`,
    summary: 'Forget an SSH key; instances keep what they have',
    status: 200,
    params: Ref,
    answer: SshKey,
  },
  listKeys: {
    method: 'GET',
    path: `${V}/keys`,
    summary: 'List API keys',
    status: 200,
    answer: listOf(Key),
  },
  createKey: {
    method: 'POST',
    path: `${V}/keys`,
    summary: 'Create an API key',
    status: 201,
    body: CreateKey,
    answer: CreatedKey,
  },
  revokeKey: {
    method: 'DELETE',
    path: `${V}/keys/{id}`,
    summary: 'Revoke an API key',
    status: 200,
    params: Ref,
    answer: Key,
  },

  ...snapshotsEndpoints,
  ...backupsEndpoints,
  ...metricsEndpoints,
  ...storageEndpoints,

  listAudit: {
    method: 'GET',
    path: `${V}/audit`,
    summary: 'List who changed what, the newest first',
    status: 200,
    query: PageAllQuery,
    answer: listOf(AuditEntry),
  },
  getStatus: { method: 'GET', path: `${V}/status`, summary: 'How the cloud is', status: 200, answer: Status },
  streamEvents: {
    method: 'GET',
    path: `${V}/events`,
    summary: 'Watch state changes as server-sent events',
    status: 200,
    query: EventsQuery,
    produces: 'text/event-stream',
  },
} as const satisfies Record<string, Endpoint>

export type Instance = z.infer<typeof Instance>
export type Credential = z.infer<typeof Credential>
export type InstanceStats = z.infer<typeof InstanceStats>
export type InstanceAccepted = z.infer<typeof InstanceAccepted>
export type Image = z.infer<typeof Image>
export type ImageAccepted = z.infer<typeof ImageAccepted>
export type Upload = z.infer<typeof Upload>
export type Region = z.infer<typeof Region>
export type Plan = z.infer<typeof Plan>
export type Host = z.infer<typeof Host>
export type Incident = z.infer<typeof Incident>
export type AuditEntry = z.infer<typeof AuditEntry>
export type Status = z.infer<typeof Status>
export type Account = z.infer<typeof Account>
export type Credentials = z.infer<typeof Credentials>
export type Credit = z.infer<typeof Credit>
export type SshKey = z.infer<typeof SshKey>
export type Key = z.infer<typeof Key>
export type CreatedKey = z.infer<typeof CreatedKey>
export type CloudEvent = z.infer<typeof CloudEvent>
export type ErrorBody = z.infer<typeof ErrorBody>
/** What a client may send: fields with a default are optional. */
export type CreateInstance = z.input<typeof CreateInstance>
export type ImportImage = z.input<typeof ImportImage>
export type CreateAccount = z.input<typeof CreateAccount>
export type CreateKey = z.input<typeof CreateKey>
