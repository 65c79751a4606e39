/** `backup …`: moments of an instance in object storage, and what proves that they restore. */

import type { BackupPolicy } from '../dialects/native/contract/backup-policies.ts'
import type { Backup } from '../dialects/native/contract/backups.ts'
import type { Operation } from '../dialects/native/contract/operations.ts'
import type { Receipt, ReceiptAccepted } from '../dialects/native/contract/receipts.ts'
import { BACKUP_FREQUENCIES, WEEKDAYS } from '../model/backup.ts'
import { downloadImage, targetOf } from './backup-download.ts'
import { type Args, type Cli, type Command, JSON_OPTION, WAIT_OPTIONS } from './command.ts'
import { CliError } from './exit.ts'
import { ago, bytes, fields, json, table } from './output.ts'
import { follow } from './progress.ts'
import { meter } from './transfer-meter.ts'

const BACKUP = ['BACKUP'] as const

const create: Command = {
  name: 'backup create',
  summary: 'back up an instance, running or not, into object storage',
  positionals: ['INSTANCE'],
  options: {
    label: { type: 'string', value: 'TEXT', help: 'what it is for' },
    days: { type: 'string', value: 'DAYS', help: "how long it is kept; default: as the instance's policy says, or 14" },
    ...WAIT_OPTIONS,
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const [label, days] = [args.text('label'), wholeNumber(args, 'days')]
    const made = await cli.client.call('createBackup', {
      id: args.at.INSTANCE!,
      body: { ...(label !== undefined && { label }), ...(days !== undefined && { retentionDays: days }) },
    })
    let { backup, operation } = made
    if (args.flag('wait')) {
      operation = await follow(cli, operation, args)
      backup = await cli.client.call('getBackup', { id: backup.id })
    }
    if (args.flag('json')) cli.print(json({ backup, operation }))
    else cli.print(`${backup.shortId} is ${backup.state}${args.flag('wait') ? '' : `; operation ${operation.id}`}`)
    return undefined
  },
}

const list: Command = {
  name: 'backup list',
  summary: 'list backups, also of instances that are gone, and whether they are proven',
  positionals: ['INSTANCE?'],
  options: { all: { type: 'boolean', help: 'of every account (operators)' }, ...JSON_OPTION },
  async run(cli, args) {
    const query = { instance: args.at.INSTANCE, all: args.flag('all') ? 'true' : undefined }
    const found = await cli.client.call('listBackups', { query: { ...query, limit: 1000 } })
    if (args.flag('json')) {
      cli.print(json(found))
      return undefined
    }
    const usage = await cli.client.call('getBackupUsage', { query })
    cli.print(listing(found.items, cli.now()))
    cli.print(`${usage.backups} backups, ${bytes(usage.storedBytes)} in the store`)
    return undefined
  },
}

const listing = (items: readonly Backup[], now: Date) =>
  table(
    ['BACKUP', 'INSTANCE', 'KIND', 'STATE', 'PROOF', 'CONSISTENT', 'DATA', 'STORED', 'AGE', 'EXPIRES'],
    items.map((it) => [
      it.shortId,
      it.origin.name,
      it.kind,
      it.state === 'creating' && it.progressPercent !== null ? `creating ${it.progressPercent} %` : it.state,
      proofOf(it, now),
      it.consistency,
      bytes(it.dataBytes),
      bytes(it.storedBytes),
      ago(it.createdAt, now),
      it.expiresAt?.slice(0, 10) ?? null,
    ]),
  )

function proofOf({ state, receipt, verifiedAt, damage }: Backup, now: Date): string | null {
  if (damage !== null) return 'damaged'
  if (receipt?.state === 'failed') return 'failed'
  if (receipt?.isFresh) return `proven ${ago(verifiedAt, now)} ago`
  return state === 'completed' ? 'unproven' : null
}

const show: Command = {
  name: 'backup show',
  summary: 'show a backup and its newest receipt',
  positionals: BACKUP,
  options: JSON_OPTION,
  async run(cli, args) {
    const backup = await cli.client.call('getBackup', { id: args.at.BACKUP! })
    const receipts = await cli.client.call('listReceipts', { id: backup.id, query: { limit: 1 } })
    const [receipt = null] = receipts.items
    if (args.flag('json')) cli.print(json({ backup, receipt }))
    else cli.print([face(backup, cli.now()), ...(receipt ? ['', receiptFace(receipt)] : [])].join('\n'))
    return undefined
  },
}

const face = (it: Backup, now: Date) =>
  fields([
    ['backup', it.shortId],
    ['id', it.id],
    ['label', it.label],
    ['instance', `${it.origin.name} (${it.instanceId})`],
    ['kind', it.kind],
    ['state', it.stateReason ? `${it.state} (${it.stateReason})` : it.state],
    ['proof', proofOf(it, now)],
    ['damage', it.damage],
    ['moment', it.pointAt],
    ['consistent', it.consistencyReason ? `${it.consistency} (${it.consistencyReason})` : it.consistency],
    ['frozen', it.frozenMs === null ? null : `${it.frozenMs} ms`],
    ['disk', bytes(it.diskBytes)],
    ['data', bytes(it.dataBytes)],
    ['read', bytes(it.readBytes)],
    ['stored', bytes(it.storedBytes)],
    ['added', bytes(it.addedBytes)],
    ['created', it.createdAt],
    ['expires', it.expiresAt],
  ])

const receiptFace = (it: Receipt) =>
  [
    fields([
      ['receipt', it.id],
      ['result', it.stateReason ? `${it.state} (${it.stateReason})` : it.state],
      ['finished', it.finishedAt],
      ['restored', it.restoreMs === null ? null : `${bytes(it.restoredBytes)} in ${it.restoreMs} ms`],
      ['booted', it.bootMs === null ? null : `in ${it.bootMs} ms`],
    ]),
    ...it.checks.map(({ name, outcome, detail }) => `  ${outcome.padEnd(8)} ${name}: ${detail}`),
  ].join('\n')

const restore: Command = {
  name: 'backup restore',
  summary: 'give its stopped instance the disk of a backup, or make a new instance of it',
  positionals: BACKUP,
  options: {
    to: { type: 'string', value: 'NAME', help: 'a new instance of that name, instead of the old one' },
    plan: { type: 'string', value: 'PLAN', help: 'with --to: how large it is; default: as it was' },
    ...WAIT_OPTIONS,
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const [name, planId] = [args.text('to'), args.text('plan')]
    // Never in place by mistake: what is on the instance's disk would be gone.
    if (name === undefined && planId !== undefined) throw new CliError('usage', '--plan goes with --to NAME')
    const accepted = name === undefined ? await inPlace(cli, args) : await intoNew(cli, args, name, planId)
    const operation = args.flag('wait') ? await follow(cli, accepted.operation, args) : accepted.operation
    const instance = await cli.client.call('getInstance', { id: accepted.instanceId })
    if (args.flag('json')) cli.print(json({ instance, operation }))
    else cli.print(`${instance.name} is ${instance.state}${args.flag('wait') ? '' : `; operation ${operation.id}`}`)
    return undefined
  },
}

const inPlace = (cli: Cli, args: Args) => cli.client.call('restoreBackup', { id: args.at.BACKUP! })

async function intoNew(cli: Cli, args: Args, name: string, planId: string | undefined) {
  const { instance, operation } = await cli.client.call('createInstance', {
    body: { name, backupId: args.at.BACKUP!, ...(planId !== undefined && { planId }) },
  })
  return { instanceId: instance.id, operation }
}

const download: Command = {
  name: 'backup download',
  summary: 'fetch a backup as a qcow2 disk image; continues what was cut off',
  positionals: ['BACKUP', 'FILE?'],
  options: JSON_OPTION,
  async run(cli, args) {
    const backup = await cli.client.call('getBackup', { id: args.at.BACKUP! })
    const file = await targetOf(args.at.FILE ?? '.', `${backup.shortId}.qcow2`)
    const progress = meter(cli, file, null, args.flag('json'))
    try {
      const sizeBytes = await downloadImage(
        () => cli.client.call('getBackupDownload', { id: backup.id }),
        file,
        (done, total) => progress.at(done, total),
      )
      progress.end()
      cli.print(args.flag('json') ? json({ file, sizeBytes }) : `${file}, ${bytes(sizeBytes)}`)
    } catch (error) {
      progress.end()
      throw error
    }
    return undefined
  },
}

const verify: Command = {
  name: 'backup verify',
  summary: 'restore a backup into a machine of its own, boot and check it; ends well only with a passed receipt',
  positionals: BACKUP,
  options: { timeout: { type: 'string', value: 'SECONDS', help: 'how long to wait (default 600)' }, ...JSON_OPTION },
  async run(cli, args) {
    const { receipt: begun, operation } = await beginOrJoin(cli, args.at.BACKUP!)
    const failure = await follow(cli, operation, args).then(
      () => null,
      (error: unknown) => error,
    )
    const receipt = await cli.client.call('getReceipt', { id: begun.id })
    if (failure !== null && receipt.state !== 'failed') throw failure
    cli.print(args.flag('json') ? json({ receipt }) : receiptFace(receipt))
    if (receipt.state !== 'passed') {
      throw new CliError('error', `the backup did not pass: ${receipt.stateReason ?? receipt.state}`)
    }
    return undefined
  },
}

/** The one under way is as good: every backup is verified on a schedule too, often as soon as it is made. */
async function beginOrJoin(cli: Cli, id: string): Promise<Pick<ReceiptAccepted, 'receipt' | 'operation'>> {
  for (let tries = 1; ; tries++) {
    try {
      return await cli.client.call('verifyBackup', { id })
    } catch (error) {
      if (!(error instanceof CliError && error.exit === 'conflict') || tries === JOIN_TRIES_MAX) throw error
      const backup = await cli.client.call('getBackup', { id })
      const query = { resourceId: backup.id, open: 'true', limit: 10 } as const
      const operation = (await cli.client.call('listOperations', { query })).items.find(isVerification)
      const [receipt] = (await cli.client.call('listReceipts', { id: backup.id, query: { limit: 1 } })).items
      if (operation && receipt) return { receipt, operation }
      if (backup.state !== 'completed') throw error
    }
  }
}

const isVerification = ({ kind }: Operation): boolean => kind === 'backup.verify'
/** It may end between the question and the answer. */
const JOIN_TRIES_MAX = 3

const remove: Command = {
  name: 'backup delete',
  summary: 'delete a backup',
  positionals: BACKUP,
  options: JSON_OPTION,
  async run(cli, args) {
    const backup = await cli.client.call('deleteBackup', { id: args.at.BACKUP! })
    cli.print(args.flag('json') ? json(backup) : `${backup.shortId} is ${backup.state}`)
    return undefined
  },
}

const policy: Command = {
  name: 'backup policy',
  summary: 'show or set when an instance is backed up by itself',
  positionals: ['INSTANCE'],
  options: {
    on: { type: 'boolean', help: 'back it up by itself' },
    off: { type: 'boolean', help: 'do not' },
    frequency: { type: 'string', value: BACKUP_FREQUENCIES.join('|'), help: 'default: daily' },
    day: { type: 'string', value: 'DAY', help: 'of the week, when weekly, for example monday' },
    time: { type: 'string', value: 'HH:MM', help: 'in UTC; default: 02:00' },
    days: { type: 'string', value: '7|14|30', help: 'how long they are kept; default: 14' },
    clear: { type: 'boolean', help: 'forget it all; the backups stay' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const id = args.at.INSTANCE!
    const found = await changed(cli, args, id)
    cli.print(args.flag('json') ? json(found) : policyFace(found))
    return undefined
  },
}

const SETTINGS = ['on', 'off', 'frequency', 'day', 'time', 'days'] as const

async function changed(cli: Cli, args: Args, id: string): Promise<BackupPolicy> {
  if (args.flag('clear') && SETTINGS.some((option) => args.flag(option) || args.text(option) !== undefined)) {
    throw new CliError('usage', '--clear stands alone')
  }
  if (args.flag('clear')) return cli.client.call('deleteBackupPolicy', { id })
  if (args.flag('on') && args.flag('off')) throw new CliError('usage', '--on or --off, not both')
  const body = {
    ...(args.flag('on') && { enabled: true }),
    ...(args.flag('off') && { enabled: false }),
    ...oneOf(args, 'frequency', 'frequency', BACKUP_FREQUENCIES),
    ...oneOf(args, 'day', 'dayOfWeek', WEEKDAYS),
    ...(args.text('time') !== undefined && { time: args.text('time')! }),
    ...oneOfDays(args),
  }
  if (Object.keys(body).length === 0) return cli.client.call('getBackupPolicy', { id })
  return cli.client.call('setBackupPolicy', { id, body })
}

function oneOf<const K extends string, T extends string>(args: Args, option: string, key: K, allowed: readonly T[]) {
  const word = args.text(option)
  if (word === undefined) return {} as { [key in K]?: T }
  const found = allowed.find((one) => one === word)
  if (found === undefined) throw new CliError('usage', `--${option} is one of ${allowed.join(', ')}`)
  return { [key]: found } as { [key in K]?: T }
}

function oneOfDays(args: Args): { retentionDays?: 7 | 14 | 30 } {
  const days = wholeNumber(args, 'days')
  if (days === undefined) return {}
  if (days !== 7 && days !== 14 && days !== 30) throw new CliError('usage', '--days is 7, 14 or 30')
  return { retentionDays: days }
}

function wholeNumber(args: Args, option: string): number | undefined {
  const text = args.text(option)
  if (text === undefined) return undefined
  if (!/^\d{1,6}$/.test(text)) throw new CliError('usage', `--${option} takes a whole number`)
  return Number(text)
}

function policyFace(it: BackupPolicy): string {
  const when = it.frequency === 'weekly' ? `weekly, ${it.dayOfWeek} at ${it.time} UTC` : `daily at ${it.time} UTC`
  return fields([
    ['backups', it.enabled ? when : `not by themselves${it.isSet ? ` (else ${when})` : ''}`],
    ['kept', `${it.retentionDays} days`],
    ['next', it.nextAt],
    ['last', it.lastAt],
  ])
}

export const backupCommands: readonly Command[] = [create, list, show, restore, download, verify, remove, policy]
