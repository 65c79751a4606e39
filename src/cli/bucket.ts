/** `bucket …` */
import { STORAGE_TIERS } from '../model/bucket.ts'
import { type Command, JSON_OPTION } from './command.ts'
import { CliError } from './exit.ts'
import { ago, bytes, fields, json, table } from './output.ts'

const ALL_OPTION = { all: { type: 'boolean', help: 'of every account (operators)' } } as const

const create: Command = {
  name: 'bucket create',
  summary: 'create a bucket; its name is unique, for ever',
  positionals: ['NAME'],
  options: {
    tier: { type: 'string', value: STORAGE_TIERS.join('|'), help: 'default standard' },
    location: { type: 'string', value: 'PLACE', help: 'default: the only one there is' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const word = args.text('tier')
    const tier = STORAGE_TIERS.find((it) => it === word)
    if (word !== undefined && !tier) throw new CliError('usage', `--tier is one of ${STORAGE_TIERS.join(', ')}`)
    const location = args.text('location')
    const body = { name: args.at.NAME!, ...(tier && { tier }), ...(location !== undefined && { location }) }
    const made = await cli.client.call('createBucket', { body })
    cli.print(args.flag('json') ? json(made) : `created ${made.name} (${made.tier}, ${made.location})`)
    return undefined
  },
}

const list: Command = {
  name: 'bucket list',
  summary: 'list your buckets with what they hold',
  positionals: [],
  options: {
    prefix: { type: 'string', value: 'TEXT', help: 'only names that begin so' },
    ...ALL_OPTION,
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const query = { limit: 1000, prefix: args.text('prefix'), ...(args.flag('all') && { all: 'true' }) }
    const found = await cli.client.call('listBuckets', { query })
    const rows = found.items.map((it) => [
      it.name,
      it.objects,
      bytes(it.bytes),
      it.tier,
      it.versioning,
      it.isPublic ? 'public' : 'private',
      it.location,
      ago(it.createdAt, cli.now()),
    ])
    const head = ['BUCKET', 'OBJECTS', 'SIZE', 'TIER', 'VERSIONING', 'ACCESS', 'LOCATION', 'AGE']
    cli.print(args.flag('json') ? json(found) : table(head, rows))
    if (found.total > found.items.length) cli.note(`${found.total} in all; --prefix narrows the list`)
    return undefined
  },
}

const show: Command = {
  name: 'bucket show',
  summary: 'show a bucket',
  positionals: ['NAME'],
  options: JSON_OPTION,
  async run(cli, args) {
    const it = await cli.client.call('getBucket', { id: args.at.NAME! })
    cli.print(args.flag('json') ? json(it) : fields(Object.entries(it).map(([name, value]) => [name, String(value)])))
    return undefined
  },
}

const remove: Command = {
  name: 'bucket delete',
  summary: 'delete an empty bucket; its name is used up',
  positionals: ['NAME'],
  options: JSON_OPTION,
  async run(cli, args) {
    const gone = await cli.client.call('deleteBucket', { id: args.at.NAME! })
    cli.print(args.flag('json') ? json(gone) : `deleted ${gone.name}`)
    return undefined
  },
}

const usage: Command = {
  name: 'bucket usage',
  summary: 'what a bucket holds, and held and moved hour by hour',
  positionals: ['NAME'],
  options: {
    hours: { type: 'string', value: 'COUNT', help: 'how many, the newest first (default 24, at most 1000)' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const limit = Number(args.text('hours') ?? 24)
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw new CliError('usage', '--hours is 1 to 1000')
    const { bucket, hours } = await cli.client.call('getBucketUsage', { id: args.at.NAME!, query: { limit } })
    if (args.flag('json')) {
      cli.print(json({ bucket, hours }))
      return undefined
    }
    const now = fields([
      ['objects', bucket.objects],
      ['versions', bucket.versions],
      ['size', bytes(bucket.bytes)],
      ['unfinished uploads', bytes(bucket.uploadBytes)],
    ])
    const rows = hours.map((it) => [
      it.hour.slice(0, 16).replace('T', ' '),
      `${(Number(it.byteSeconds) / 3600 / 1024 ** 3).toFixed(6)}`,
      it.readRequests,
      it.writeRequests,
      bytes(it.bytesIn),
      bytes(it.bytesOut),
    ])
    cli.print(`${now}\n\n${table(['HOUR (UTC)', 'GIB HOURS', 'READS', 'WRITES', 'IN', 'OUT'], rows)}`)
    return undefined
  },
}

export const bucketCommands: readonly Command[] = [create, list, show, remove, usage]
