/** The rules of instances: who may do what in which state. What takes longer than the answer is the strand's to do. */
import { randomBytes } from 'node:crypto'
import { startStrand } from '../jobs/engine/start.ts'
import { instanceStrand } from '../jobs/instance/instance.ts'
import { canEverFit } from '../jobs/instance/placement.ts'
import type { BackupOrigin } from '../model/backup.ts'
import { CloudError, invalidField, notFound } from '../model/errors.ts'
import { type AccountId, type InstanceId, newIdentity } from '../model/ids.ts'
import {
  canInstance,
  HOSTNAME_RULE,
  type InstanceAction,
  type InstanceState,
  isHostname,
  SSH_KEYS_MAX,
} from '../model/instance.ts'
import type { OperationKind } from '../model/operation.ts'
import { normalizeSshKey } from '../model/ssh-key.ts'
import * as accounts from '../store/accounts.ts'
import * as addresses from '../store/addresses.ts'
import * as backupPolicies from '../store/backup-policies.ts'
import * as credentials from '../store/credentials.ts'
import { atomically, type Db } from '../store/db.ts'
import * as hosts from '../store/hosts.ts'
import type { Image } from '../store/images.ts'
import * as imageRows from '../store/images.ts'
import type { Instance } from '../store/instances.ts'
import * as instances from '../store/instances.ts'
import type { Operation } from '../store/operations.ts'
import * as operations from '../store/operations.ts'
import * as rebuilds from '../store/rebuilds.ts'
import * as restores from '../store/restores.ts'
import * as strands from '../store/strands.ts'
import { type BackupRef, findCompleted, type Restorable } from './backups/restorable.ts'
import { chooseImage, choosePlan, chooseRegion, findRegion, images as listImages, ownImages } from './catalog.ts'
import { allow, type Ctx, visibleAccount } from './ctx.ts'
import { chooseRootPassword, type PasswordWish, sealRootPassword } from './root-password.ts'
import * as storedKeys from './ssh-keys.ts'

export type { Instance }

/** A text may be the text id, the UUID, the number or a name that is the caller's only one; a number is the number. */
export type Ref = string | number

export interface Accepted {
  instance: Instance
  operation: Operation
}

export interface ListInput {
  states?: readonly InstanceState[]
  isSuspended?: boolean
  /** An id or alias; one that means nothing matches nothing. */
  region?: string
  name?: string
  limit?: number
  offset?: number
}

export async function list(
  ctx: Ctx,
  { region, ...filter }: ListInput = {},
): Promise<{ items: Instance[]; total: number }> {
  allow(ctx, 'instances:read')
  const regionId = region === undefined ? undefined : ((await findRegion(ctx, region))?.id ?? '')
  return instances.list(ctx.db, {
    accountId: visibleAccount(ctx),
    ...filter,
    ...(regionId === undefined ? {} : { regionId }),
  })
}

export async function get(ctx: Ctx, ref: Ref): Promise<Instance> {
  allow(ctx, 'instances:read')
  return find(ctx, ref)
}

async function find(ctx: Ctx, ref: Ref): Promise<Instance> {
  const found = await instances.find(ctx.db, ref, { accountId: visibleAccount(ctx) })
  if (found.length > 1) {
    const ids = found.map(({ id }) => id).join(', ')
    throw new CloudError('conflict', `${JSON.stringify(ref)} is the name of ${found.length} instances: ${ids}`)
  }
  const [instance] = found
  if (!instance) throw notFound('instance', String(ref))
  return instance
}

export interface CreateInput extends PasswordWish {
  /** What people call it; the host name when absent. */
  name?: string
  hostname?: string
  /** Id or number. */
  planId?: string | number
  /** Id, alias or name. */
  regionId?: string
  /** Id or number. */
  imageId?: string | number
  /** OpenSSH public keys. */
  sshKeys?: readonly string[]
  /** Stored keys of the account. */
  sshKeyIds?: readonly (string | number)[]
  /** Default: no. */
  automaticBackups?: boolean
  /**
   * A completed backup of the account, by any of its ids: its disk instead of an image's. What is not chosen is as it
   * was in the instance that it was taken of, which need not be there any more.
   */
  backupId?: BackupRef
}

export async function create(ctx: Ctx, given: CreateInput): Promise<Accepted> {
  allow(ctx, 'instances:write')
  const backup = given.backupId === undefined ? null : await findCompleted(ctx, given.backupId)
  const input = backup ? asBefore(given, backup.origin) : given
  const hostname = hostnameOf(input)
  const sshKeys = await chooseSshKeys(ctx, input)
  const rootPassword = chooseRootPassword(input)
  const [plan, region, image] = [
    await choosePlan(ctx, input.planId),
    await chooseRegion(ctx, input.regionId),
    backup ? await originalImage(ctx, backup) : await chooseImage(ctx, input.imageId),
  ]
  const misfit = misfitOf(image, plan, `plan ${plan.id}`)
  if (misfit) throw invalidField('planId', misfit, input.planId)
  const candidates = await hosts.list(ctx.db, { regionId: region.id })
  if (!canEverFit(candidates, plan)) {
    throw new CloudError('no_capacity', `no host in ${region.id} is large enough for plan ${plan.id}`)
  }
  return atomically(ctx.db, async (tx) => {
    await demandCredit(tx, ctx.caller.accountId, plan)
    const identity = newIdentity('instance')
    await instances.insert(tx, {
      ...identity,
      accountId: ctx.caller.accountId,
      regionId: region.id,
      planId: plan.id,
      imageId: image.id,
      name: input.name?.trim() || hostname,
      hostname,
      vcpus: plan.vcpus,
      memoryMib: plan.memoryMib,
      diskGib: plan.diskGib,
      mac: newMac(),
      sshKeys: ctx.settings.ownSshKey ? [...sshKeys, ctx.settings.ownSshKey] : sshKeys,
      passwordHash: rootPassword.hash,
    })
    if (input.automaticBackups) await backupPolicies.setEnabled(tx, identity.id, true)
    if (backup) await restores.begin(tx, identity.id, backup.id, { isFirst: true })
    await credentials.replaceRootPassword(tx, identity.id, sealRootPassword(ctx, rootPassword))
    await allocateAddresses(tx, region.id, identity.id)
    await startStrand(tx, instanceStrand, identity.id)
    const operation = await openOperation(ctx, tx, 'instance.create', identity.id)
    return { instance: await instances.get(tx, identity.id), operation }
  })
}

/** Why an image cannot be put on something of that size; null when it can. */
function misfitOf(image: Image, { memoryMib, diskGib }: Pick<Instance, 'memoryMib' | 'diskGib'>, what: string) {
  if (memoryMib < image.minMemoryMib || diskGib < image.minDiskGib) {
    return `${image.name} needs at least ${image.minMemoryMib} MiB of memory and ${image.minDiskGib} GiB of disk; ${what} has ${memoryMib} MiB and ${diskGib} GiB`
  }
  if (image.virtualBytes === null || image.virtualBytes <= diskGib * 2 ** 30) return null
  const needed = Math.ceil(image.virtualBytes / 2 ** 30)
  return `${image.name} has a disk of ${needed} GiB; ${what} has ${diskGib} GiB`
}

/** The installed images that it is large enough for. */
export async function images(ctx: Ctx, ref: Ref): Promise<Image[]> {
  const instance = await get(ctx, ref)
  return [...(await listImages(ctx)), ...(await ownImages(ctx))].filter(
    (image) => image.state === 'available' && misfitOf(image, instance, '') === null,
  )
}

const asBefore = (input: CreateInput, { hostname, planId, regionId }: BackupOrigin): CreateInput => ({
  planId,
  regionId,
  ...(input.name === undefined ? { hostname } : {}),
  ...input,
})

/** With the disk that the backup has. It need not be installed: nothing stands on it. */
async function originalImage(ctx: Ctx, { origin, shortId, diskBytes }: Restorable): Promise<Image> {
  const image = await imageRows.find(ctx.db, origin.imageId)
  if (image) return { ...image, virtualBytes: diskBytes }
  throw new CloudError('conflict', `the catalogue no longer has image ${origin.imageId} that backup ${shortId} is of`)
}

function hostnameOf({ name, hostname }: CreateInput): string {
  const given =
    hostname ??
    name
      ?.trim()
      .toLowerCase()
      .replace(/[^a-z0-9.-]+/g, '-')
      .replace(/^[-.]+|[-.]+$/g, '')
  if (given && isHostname(given)) return given
  throw invalidField('hostname', HOSTNAME_RULE, hostname ?? name)
}

async function chooseSshKeys(ctx: Ctx, { sshKeys = [], sshKeyIds = [] }: CreateInput): Promise<string[]> {
  if (sshKeys.length + sshKeyIds.length > SSH_KEYS_MAX) throw invalidField('sshKeys', `at most ${SSH_KEYS_MAX} keys`)
  return [...new Set([...cleanSshKeys(sshKeys), ...(await storedKeys.choose(ctx, sshKeyIds))])]
}

function cleanSshKeys(keys: readonly string[]): string[] {
  return keys.map((key, index) => {
    const line = normalizeSshKey(key)
    if (line) return line
    const message =
      'not an OpenSSH public key: one line as in authorized_keys, for example "ssh-ed25519 AAAA… me@laptop"'
    throw new CloudError('invalid', message, {
      issues: [{ where: 'body', path: ['sshKeys', index], code: 'custom', message, input: key }],
    })
  })
}

/**
 * Credit covers the monthly price of every instance that an account has, the new one included; what it deleted no longer
 * counts. The account's row stays locked until the instance is there, so two creates cannot spend the same credit.
 */
async function demandCredit(tx: Db, accountId: AccountId, plan: { id: string; priceMonthlyMinor: number }) {
  if ((await accounts.credit(tx, accountId)) === null) return
  await accounts.lock(tx, accountId)
  const credit = await accounts.credit(tx, accountId)
  if (credit === null) return
  const needed = (await instances.monthlyPrice(tx, accountId)) + plan.priceMonthlyMinor
  if (needed <= credit) return
  throw new CloudError(
    'insufficient_credit',
    `the credit does not cover plan ${plan.id}: with it all instances cost ${needed / 100} a month, the credit is ${credit / 100}`,
  )
}

/** Locally administered, unicast, under QEMU's customary prefix. */
const newMac = (): string =>
  `52:54:00:${randomBytes(3)
    .toString('hex')
    .replace(/(..)(..)(..)/, '$1:$2:$3')}`

/** A region without an IPv6 pool has none; one whose pools are used up takes nobody more. */
async function allocateAddresses(tx: Db, regionId: string, id: InstanceId): Promise<void> {
  const pools = await addresses.listPools(tx)
  for (const family of [4, 6] as const) {
    const hasPool = pools.some((pool) => pool.family === family && (pool.region_id ?? regionId) === regionId)
    if (hasPool && !(await addresses.allocate(tx, family, regionId, id))) {
      throw new CloudError('no_capacity', `every IPv${family} address of ${regionId} is in use`)
    }
  }
}

export interface PowerOptions {
  /** What to do when it already is in the wished state: dialects disagree. */
  ifAlready?: 'accept' | 'refuse'
}

export const start = (ctx: Ctx, ref: Ref, options?: PowerOptions) =>
  power(ctx, ref, { action: 'start', becomes: 'starting', already: 'running', ...options })

export const stop = (ctx: Ctx, ref: Ref, options?: PowerOptions) =>
  power(ctx, ref, { action: 'stop', becomes: 'stopping', already: 'stopped', ...options })

export const reboot = (ctx: Ctx, ref: Ref, options: { ifStopped?: 'start' | 'refuse' } = {}) =>
  power(ctx, ref, { action: 'reboot', becomes: 'rebooting', startIfStopped: options.ifStopped === 'start' })

interface PowerChange extends PowerOptions {
  action: InstanceAction
  becomes: InstanceState
  already?: InstanceState
  startIfStopped?: boolean
}

/** An instance that already was as wished, where that is accepted, has an operation that has ended. */
async function power(ctx: Ctx, ref: Ref, wish: PowerChange): Promise<Accepted> {
  allow(ctx, 'instances:write')
  const { id } = await find(ctx, ref)
  return atomically(ctx.db, async (tx) => {
    const row = await instances.lock(tx, id)
    if (row.delete_requested_at) throw notFound('instance', String(ref))
    if (row.state === wish.already && wish.ifAlready === 'accept') {
      const { id: operationId, kind } = await openOperation(ctx, tx, `instance.${wish.action}`, id)
      await operations.finish(tx, id, [kind], 'succeeded', { message: `it was ${row.state} already` })
      return { instance: await instances.get(tx, id), operation: await operations.get(tx, operationId, null) }
    }
    const starts = wish.action === 'start' || (wish.startIfStopped === true && row.state === 'stopped')
    const action = starts ? 'start' : wish.action
    demandState(row, action, wish.action)
    await instances.change(tx, id, {
      state: starts ? 'starting' : wish.becomes,
      desiredPower: action === 'stop' ? 'off' : 'on',
    })
    const operation = await openOperation(ctx, tx, `instance.${action}`, id)
    await strands.wake(tx, id)
    return { instance: await instances.get(tx, id), operation }
  })
}

/** `asked` is what the caller calls it: a reboot of what is stopped may be a start. A suspended instance may only stop. */
function demandState(
  { state, suspended_reason }: Awaited<ReturnType<typeof instances.lock>>,
  action: InstanceAction,
  asked: InstanceAction = action,
): void {
  if (suspended_reason !== null && action !== 'stop') {
    throw new CloudError('conflict', `the instance is suspended: ${suspended_reason}`, { state: 'suspended' })
  }
  if (!canInstance(action, state)) {
    throw new CloudError('conflict', `cannot ${asked} an instance that is ${state}`, { state })
  }
}

export interface RebuildInput extends PasswordWish {
  /** Id or number. */
  imageId: string | number
}

/**
 * Another disk from an image: identity, plan, addresses and SSH keys stay, what was on the disk goes, its snapshots and
 * credentials too. The instance runs afterwards.
 */
export async function rebuild(ctx: Ctx, ref: Ref, input: RebuildInput): Promise<Accepted> {
  allow(ctx, 'instances:write')
  const { id } = await find(ctx, ref)
  const image = await chooseImage(ctx, input.imageId)
  const rootPassword = chooseRootPassword(input)
  return atomically(ctx.db, async (tx) => {
    const row = await instances.lock(tx, id)
    if (row.delete_requested_at) throw notFound('instance', String(ref))
    const misfit = misfitOf(image, { memoryMib: row.memory_mib, diskGib: row.disk_gib }, 'the instance')
    if (misfit) throw invalidField('imageId', misfit, input.imageId)
    demandState(row, 'rebuild')
    const operation = await openOperation(ctx, tx, 'instance.rebuild', id)
    await rebuilds.wish(tx, id, {
      imageId: image.id,
      passwordHash: rootPassword.hash,
      passwordSealed: sealRootPassword(ctx, rootPassword),
    })
    await instances.change(tx, id, { state: 'rebuilding', desiredPower: 'on' })
    await strands.wake(tx, id)
    return { instance: await instances.get(tx, id), operation }
  })
}

/**
 * Accepted in every state; whatever else is under way is cancelled. From here on callers see `not_found`. Without
 * `purge`, disk and addresses are kept for the hours in which a deletion can be taken back.
 */
export async function remove(ctx: Ctx, ref: Ref, { purge = false } = {}): Promise<Accepted> {
  allow(ctx, 'instances:write')
  const { id } = await find(ctx, ref)
  return atomically(ctx.db, async (tx) => {
    const row = await instances.lock(tx, id)
    if (row.delete_requested_at) throw notFound('instance', String(ref))
    await instances.requestDelete(tx, id, purge ? 0 : ctx.settings.recoverHours)
    const open = await operations.findOpen(tx, id)
    if (open) await operations.finish(tx, id, [open.kind], 'cancelled', { message: 'the instance was deleted' })
    const operation = await openOperation(ctx, tx, 'instance.delete', id)
    await strands.wake(tx, id, 'delete')
    return { instance: await instances.get(tx, id), operation }
  })
}

export interface UpdateInput extends instances.InstanceUpdate {
  /** By the instance's policy, or by the default one. */
  automaticBackups?: boolean
}

/** What is left out stays. The guest is told of a new host name at its next start; what it makes of it is its own. */
export async function update(ctx: Ctx, ref: Ref, input: UpdateInput): Promise<Instance> {
  allow(ctx, 'instances:write')
  const { id } = await find(ctx, ref)
  const { name, hostname, automaticBackups, ...rest } = input
  if (rest.canSnapshot !== undefined) allow(ctx, 'operator')
  if (hostname !== undefined && !isHostname(hostname)) throw invalidField('hostname', HOSTNAME_RULE, hostname)
  return atomically(ctx.db, async (tx) => {
    const row = await instances.lock(tx, id)
    if (row.delete_requested_at) throw notFound('instance', String(ref))
    const changes = {
      ...(name !== undefined && { name: name.trim() }),
      ...(hostname !== undefined && { hostname }),
      ...rest,
    }
    if (automaticBackups !== undefined) await backupPolicies.setEnabled(tx, id, automaticBackups)
    if (Object.keys(input).length > 0) await instances.update(tx, id, changes)
    return instances.get(tx, id)
  })
}

/** The end of the serial console's log. */
export async function log(ctx: Ctx, ref: Ref, maxBytes: number): Promise<Buffer> {
  const instance = await get(ctx, ref)
  return ctx.compute.readLog(instance.id, maxBytes)
}

const openOperation = (ctx: Ctx, tx: Db, kind: OperationKind, id: InstanceId): Promise<Operation> =>
  operations.open(tx, { accountId: ctx.caller.accountId, kind, resourceId: id, requestId: ctx.requestId })
