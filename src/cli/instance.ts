/** `instance …` */
import { readFileSync } from 'node:fs'
import type { Instance, InstanceAccepted } from '../dialects/native/contract/instances.ts'
import type { Call } from './client.ts'
import { type Args, type Cli, type Command, JSON_OPTION, WAIT_OPTIONS } from './command.ts'
import { CliError } from './exit.ts'
import { ago, fields, json, table } from './output.ts'
import { follow } from './progress.ts'
import { sshLine, sshTarget } from './ssh-line.ts'

const NAME = ['NAME'] as const

const PASSWORD_OPTION = {
  'generate-password': { type: 'boolean', help: 'make a root password (./havn credential show NAME tells it)' },
} as const

const create: Command = {
  name: 'instance create',
  summary: 'create an instance',
  positionals: NAME,
  options: {
    image: { type: 'string', value: 'IMAGE', help: 'what is on its disk (./havn image list)' },
    plan: { type: 'string', value: 'PLAN', help: 'how large it is; default: the smallest' },
    region: { type: 'string', value: 'REGION', help: 'where it stands' },
    'ssh-key': { type: 'string', value: 'FILE', multiple: true, help: 'public key that may log in as root' },
    'ssh-key-id': {
      type: 'string',
      value: 'KEY',
      multiple: true,
      help: 'stored key (./havn ssh-key list): name or id',
    },
    hostname: { type: 'string', value: 'HOST', help: 'default: made from the name' },
    backups: { type: 'boolean', help: 'is backed up by itself' },
    ...PASSWORD_OPTION,
    ...WAIT_OPTIONS,
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const imageId = args.text('image')
    if (imageId === undefined)
      throw new CliError('usage', 'instance create needs --image IMAGE; ./havn image list shows them')
    const [planId, regionId, hostname] = [args.text('plan'), args.text('region'), args.text('hostname')]
    const stored = args.texts('ssh-key-id')
    const made = await cli.client.call('createInstance', {
      body: {
        name: args.at.NAME!,
        imageId,
        sshKeys: args.texts('ssh-key').map(readKeyFile),
        ...(planId !== undefined && { planId }),
        ...(regionId !== undefined && { regionId }),
        ...(hostname !== undefined && { hostname }),
        ...(stored.length > 0 && { sshKeyIds: stored }),
        ...(args.flag('backups') && { automaticBackups: true }),
        ...(args.flag('generate-password') && { generatePassword: true }),
      },
    })
    return answer(cli, args, made)
  },
}

export function readKeyFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new CliError('usage', `cannot read the SSH key ${file}: ${(error as Error).message}`)
  }
}

const list: Command = {
  name: 'instance list',
  summary: 'list instances',
  positionals: [],
  options: {
    state: { type: 'string', value: 'STATE', help: 'only those in that state' },
    region: { type: 'string', value: 'REGION', help: 'only those there' },
    all: { type: 'boolean', help: 'of every account (operators)' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const found = await cli.client.call('listInstances', {
      query: {
        limit: 1000,
        state: args.text('state'),
        region: args.text('region'),
        all: args.flag('all') ? 'true' : undefined,
      },
    })
    if (args.flag('json')) cli.print(json(found))
    else cli.print(listing(found.items, cli.now()))
    return undefined
  },
}

const listing = (items: readonly Instance[], now: Date) =>
  table(
    ['NAME', 'STATE', 'IMAGE', 'PLAN', 'REGION', 'IPV4', 'SSH PORT', 'AGE', 'ID'],
    items.map((it) => [
      it.name,
      it.suspendedReason === null ? it.state : `${it.state} (suspended)`,
      it.image.id,
      it.plan.id,
      it.regionId,
      it.ipv4,
      it.sshPort,
      ago(it.createdAt, now),
      it.id,
    ]),
  )

const show: Command = {
  name: 'instance show',
  summary: 'show an instance',
  positionals: NAME,
  options: JSON_OPTION,
  async run(cli, args) {
    const instance = await cli.client.call('getInstance', { id: args.at.NAME! })
    cli.print(args.flag('json') ? json(instance) : face(instance, cli.sshKeyFile))
    return undefined
  },
}

function face(it: Instance, keyFile: string): string {
  const target = sshTarget(it)
  return fields([
    ['name', it.name],
    ['id', it.id],
    ['uuid', it.uuid],
    ['number', it.number],
    ['state', it.stateReason ? `${it.state} (${it.stateReason})` : it.state],
    ['hostname', it.hostname],
    ['image', it.image.name],
    ['plan', `${it.plan.id}: ${it.vcpus} vCPU, ${it.memoryMib} MiB memory, ${it.diskGib} GiB disk`],
    ['region', it.regionId],
    ['ipv4', it.ipv4],
    ['ipv6', it.ipv6],
    // Without root the network is user-mode: the addresses have no route, and people must know.
    ['reach', reach(it)],
    ['ssh', target && sshLine(target, keyFile)],
    ['backups', it.automaticBackups ? 'automatic' : 'not automatic'],
    ['created', it.createdAt],
    ['started', it.startedAt],
  ])
}

function reach({ sshPort, state }: Instance): string | null {
  if (sshPort !== null) return `only SSH, on 127.0.0.1:${sshPort} (user-mode network)`
  return state === 'running' ? 'its addresses answer' : null
}

const update: Command = {
  name: 'instance update',
  summary: 'rename an instance, switch its automatic backups',
  positionals: NAME,
  options: {
    name: { type: 'string', value: 'NAME', help: 'what people call it' },
    hostname: { type: 'string', value: 'HOST', help: 'the guest is told at its next start' },
    backups: { type: 'string', value: 'on|off', help: 'whether it is backed up by itself' },
    reference: { type: 'string', value: 'TEXT', help: 'a note of yours; an empty one takes it away' },
    snapshots: { type: 'string', value: 'on|off', help: 'whether it may have snapshots (operators)' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const [name, hostname, reference] = [args.text('name'), args.text('hostname'), args.text('reference')]
    const [automaticBackups, canSnapshot] = [onOrOff(args, 'backups'), onOrOff(args, 'snapshots')]
    const instance = await cli.client.call('updateInstance', {
      id: args.at.NAME!,
      body: {
        ...(name !== undefined && { name }),
        ...(hostname !== undefined && { hostname }),
        ...(automaticBackups !== undefined && { automaticBackups }),
        ...(reference !== undefined && { reference: reference || null }),
        ...(canSnapshot !== undefined && { canSnapshot }),
      },
    })
    cli.print(args.flag('json') ? json(instance) : face(instance, cli.sshKeyFile))
    return undefined
  },
}

function onOrOff(args: Args, option: string): boolean | undefined {
  const word = args.text(option)
  if (word === undefined) return undefined
  if (word !== 'on' && word !== 'off') throw new CliError('usage', `--${option} is on or off`)
  return word === 'on'
}

/** Start, stop, reboot: the same manner. */
const power = (verb: 'start' | 'stop' | 'reboot', call: Call & `${string}Instance`): Command => ({
  name: `instance ${verb}`,
  summary: `${verb} an instance`,
  positionals: NAME,
  options: { ...WAIT_OPTIONS, ...JSON_OPTION },
  run: async (cli, args) => answer(cli, args, (await cli.client.call(call, { id: args.at.NAME! })) as InstanceAccepted),
})

const rebuild: Command = {
  name: 'instance rebuild',
  summary: 'give an instance another disk; what is on the old one and its snapshots are lost',
  positionals: NAME,
  options: {
    image: { type: 'string', value: 'IMAGE', help: 'what the new disk begins with (./havn image list)' },
    ...PASSWORD_OPTION,
    ...WAIT_OPTIONS,
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const imageId = args.text('image')
    if (imageId === undefined)
      throw new CliError('usage', 'instance rebuild needs --image IMAGE; ./havn image list shows them')
    const body = { imageId, generatePassword: args.flag('generate-password') }
    return answer(cli, args, await cli.client.call('rebuildInstance', { id: args.at.NAME!, body }))
  },
}

const remove: Command = {
  name: 'instance delete',
  summary: 'delete an instance; for some hours it can be recovered',
  positionals: NAME,
  options: { purge: { type: 'boolean', help: 'gone at once, for good' }, ...WAIT_OPTIONS, ...JSON_OPTION },
  run: async (cli, args) =>
    answer(
      cli,
      args,
      await cli.client.call('deleteInstance', {
        id: args.at.NAME!,
        query: { purge: args.flag('purge') ? 'true' : undefined },
      }),
      { isGone: true },
    ),
}

const log: Command = {
  name: 'instance log',
  summary: "print the end of an instance's serial console log",
  positionals: NAME,
  options: { bytes: { type: 'string', value: 'N', help: 'how much (default 65536)' } },
  async run(cli, args) {
    cli.print(
      (await cli.client.call('getInstanceLog', { id: args.at.NAME!, query: { bytes: args.text('bytes') } })).trimEnd(),
    )
    return undefined
  },
}

/** Waits where asked to, then prints the instance as it is now. */
async function answer(cli: Cli, args: Args, accepted: InstanceAccepted, { isGone = false } = {}): Promise<undefined> {
  let { instance, operation } = accepted
  if (args.flag('wait')) {
    operation = await follow(cli, operation, args)
    if (!isGone) instance = await cli.client.call('getInstance', { id: instance.id })
  }
  if (args.flag('json')) cli.print(json({ instance, operation }))
  else if (args.flag('wait')) cli.print(isGone ? `deleted ${instance.name}` : face(instance, cli.sshKeyFile))
  else cli.print(`${instance.name} (${instance.id}) is ${instance.state}; operation ${operation.id}`)
  return undefined
}

export const instanceCommands: readonly Command[] = [
  create,
  list,
  show,
  update,
  power('start', 'startInstance'),
  power('stop', 'stopInstance'),
  power('reboot', 'rebootInstance'),
  rebuild,
  remove,
  log,
]
