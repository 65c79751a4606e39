/** `s3 …`: what other programs need to reach object storage. */
import { type Command, JSON_OPTION } from './command.ts'
import { CliError } from './exit.ts'
import { ago, fields, json, table } from './output.ts'
import { envLines, S3_CLIENTS } from './s3-env.ts'

const credentialsCreate: Command = {
  name: 's3 credentials create',
  summary: 'create another access key',
  positionals: ['NAME'],
  options: {
    bucket: { type: 'string', value: 'NAME', multiple: true, help: 'opens only this bucket' },
    'read-only': { type: 'boolean', help: 'may read but not write' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const buckets = args.texts('bucket')
    const made = await cli.client.call('createAccessKey', {
      body: { name: args.at.NAME!, readOnly: args.flag('read-only'), ...(buckets.length > 0 && { buckets }) },
    })
    cli.print(
      args.flag('json')
        ? json(made)
        : fields([
            ['access key', made.accessKeyId],
            ['secret', made.secretAccessKey],
          ]),
    )
    return undefined
  },
}

const credentialsList: Command = {
  name: 's3 credentials list',
  summary: 'list access keys',
  positionals: [],
  options: JSON_OPTION,
  async run(cli, args) {
    const found = await cli.client.call('listAccessKeys')
    const rows = found.items.map((it) => [
      it.accessKeyId,
      it.name,
      it.readOnly ? 'read' : 'read, write',
      it.buckets?.join(', ') ?? 'all',
      ago(it.lastUsedAt, cli.now()),
      ago(it.createdAt, cli.now()),
    ])
    const head = ['ACCESS KEY', 'NAME', 'MAY', 'BUCKETS', 'LAST USED', 'AGE']
    cli.print(args.flag('json') ? json(found) : table(head, rows))
    return undefined
  },
}

const credentialsShow: Command = {
  name: 's3 credentials show',
  summary: 'show an access key with its secret',
  positionals: ['ACCESS-KEY'],
  options: JSON_OPTION,
  async run(cli, args) {
    const key = await cli.client.call('getAccessKey', { id: args.at['ACCESS-KEY']! })
    cli.print(
      args.flag('json')
        ? json(key)
        : fields([
            ['access key', key.accessKeyId],
            ['secret', key.secretAccessKey],
            ['name', key.name],
            ['may', key.readOnly ? 'read' : 'read, write'],
            ['buckets', key.buckets?.join(', ') ?? 'all'],
          ]),
    )
    return undefined
  },
}

const credentialsRevoke: Command = {
  name: 's3 credentials revoke',
  summary: 'revoke an access key, at once and for good',
  positionals: ['ACCESS-KEY'],
  options: JSON_OPTION,
  async run(cli, args) {
    const key = await cli.client.call('revokeAccessKey', { id: args.at['ACCESS-KEY']! })
    cli.print(args.flag('json') ? json(key) : `revoked ${key.name} (${key.accessKeyId})`)
    return undefined
  },
}

const credentials: Command = {
  name: 's3 credentials',
  summary: 'show your main access key, its secret and where to use it',
  positionals: [],
  options: JSON_OPTION,
  async run(cli, args) {
    const it = await cli.client.call('getS3Credentials')
    const lines = fields([
      ['access key', it.accessKeyId],
      ['secret', it.secretAccessKey],
      ['endpoint', it.s3Url],
      ['region', it.region],
    ])
    cli.print(args.flag('json') ? json(it) : lines)
    return undefined
  },
}

const env: Command = {
  name: 's3 env',
  summary: `print the lines that point a client here: ${Object.keys(S3_CLIENTS).join(', ')}`,
  positionals: ['CLIENT?'],
  options: JSON_OPTION,
  async run(cli, args) {
    const client = args.at.CLIENT ?? 'aws'
    if (!Object.hasOwn(S3_CLIENTS, client)) {
      throw new CliError(
        'usage',
        `no lines for ${JSON.stringify(client)}; there are ${Object.keys(S3_CLIENTS).join(', ')}`,
      )
    }
    const access = await cli.client.call('getS3Credentials')
    const lines = envLines(client, access)
    cli.print(args.flag('json') ? json({ client, ...access, lines }) : (lines as string))
    return undefined
  },
}

/** The longer names first: `s3 credentials` is the beginning of them. */
export const s3Commands: readonly Command[] = [
  credentialsCreate,
  credentialsList,
  credentialsShow,
  credentialsRevoke,
  credentials,
  env,
]
