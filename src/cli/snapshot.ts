/** `snapshot …`: moments of an instance on its host's own disk. */
import type { Snapshot, SnapshotAccepted } from '../dialects/native/contract/snapshots.ts'
import { type Args, type Cli, type Command, JSON_OPTION, WAIT_OPTIONS } from './command.ts'
import { ago, bytes, json, table } from './output.ts'
import { follow } from './progress.ts'

const create: Command = {
  name: 'snapshot create',
  summary: 'take a snapshot of an instance',
  positionals: ['INSTANCE', 'NAME'],
  options: {
    memory: { type: 'boolean', help: 'of a running instance: its memory too; it pauses for a moment' },
    description: { type: 'string', value: 'TEXT', help: 'what it is for' },
    ...WAIT_OPTIONS,
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const description = args.text('description')
    const made = await cli.client.call('createSnapshot', {
      id: args.at.INSTANCE!,
      body: {
        name: args.at.NAME!,
        withMemory: args.flag('memory'),
        ...(description !== undefined && { description }),
      },
    })
    return answer(cli, args, made)
  },
}

const list: Command = {
  name: 'snapshot list',
  summary: 'list the snapshots of an instance',
  positionals: ['INSTANCE'],
  options: JSON_OPTION,
  async run(cli, args) {
    const found = await cli.client.call('listSnapshots', { id: args.at.INSTANCE!, query: { limit: 1000 } })
    cli.print(args.flag('json') ? json(found) : listing(found.items, cli.now()))
    return undefined
  },
}

const listing = (items: readonly Snapshot[], now: Date) =>
  table(
    ['NAME', 'STATE', 'HOLDS', 'SIZE', 'AGE', 'ID'],
    items.map((it) => [
      it.name,
      it.stateReason ? `${it.state} (${it.stateReason})` : it.state,
      it.hasMemory ? 'disk and memory' : 'disk',
      bytes(it.sizeBytes),
      ago(it.createdAt, now),
      it.id,
    ]),
  )

const rollback: Command = {
  name: 'snapshot rollback',
  summary: 'go back to a snapshot: what was written since is lost',
  positionals: ['INSTANCE', 'SNAPSHOT'],
  options: {
    'disk-only': { type: 'boolean', help: 'leave its memory out; the instance must be stopped' },
    ...WAIT_OPTIONS,
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const accepted = await cli.client.call('rollbackSnapshot', {
      ...placeOf(args),
      body: args.flag('disk-only') ? { withMemory: false } : {},
    })
    return answer(cli, args, accepted)
  },
}

const remove: Command = {
  name: 'snapshot delete',
  summary: 'delete a snapshot',
  positionals: ['INSTANCE', 'SNAPSHOT'],
  options: { ...WAIT_OPTIONS, ...JSON_OPTION },
  run: async (cli, args) => answer(cli, args, await cli.client.call('deleteSnapshot', placeOf(args)), true),
}

const placeOf = (args: Args) => ({ id: args.at.INSTANCE!, path: { snapshot: args.at.SNAPSHOT! } })

async function answer(cli: Cli, args: Args, accepted: SnapshotAccepted, isDelete = false): Promise<undefined> {
  let { snapshot, operation } = accepted
  if (args.flag('wait')) {
    operation = await follow(cli, operation, args)
    if (!isDelete) {
      snapshot = await cli.client.call('getSnapshot', { id: snapshot.instanceId, path: { snapshot: snapshot.id } })
    }
  }
  if (args.flag('json')) cli.print(json({ snapshot, operation }))
  else if (!args.flag('wait')) cli.print(`${snapshot.name} is ${snapshot.state}; operation ${operation.id}`)
  else cli.print(`${snapshot.name} is ${isDelete ? 'deleted' : snapshot.state}`)
  return undefined
}

export const snapshotCommands: readonly Command[] = [create, list, rollback, remove]
