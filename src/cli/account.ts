/** `account …` and `key …` */
import { readOnly, SCOPES_OF_SERVICE, SERVICES } from '../model/scopes.ts'
import { type Command, JSON_OPTION } from './command.ts'
import { CliError } from './exit.ts'
import { ago, bytes, fields, json, table } from './output.ts'

const accountCreate: Command = {
  name: 'account create',
  summary: 'create an account with its credentials, which are shown once',
  positionals: [],
  options: {
    email: { type: 'string', value: 'EMAIL', help: 'whose it is; one account per address' },
    name: { type: 'string', value: 'NAME', help: 'default: the e-mail address' },
    operator: { type: 'boolean', help: 'may see and do everything' },
    credit: { type: 'string', value: 'AMOUNT', help: 'what its instances may cost a month; default: none = unlimited' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const [email, name] = [args.text('email'), args.text('name')]
    if (email === undefined) throw new CliError('usage', 'account create needs --email EMAIL')
    const credit = args.text('credit')
    const body = {
      email,
      isOperator: args.flag('operator'),
      ...(name !== undefined && { name }),
      ...(credit !== undefined && { creditMinor: minorOf(credit) }),
    }
    const made = await cli.client.call('createAccount', { body })
    cli.print(args.flag('json') ? json(made) : fields(Object.entries(made)))
    return undefined
  },
}

const accountList: Command = {
  name: 'account list',
  summary: 'list accounts (operators)',
  positionals: [],
  options: JSON_OPTION,
  async run(cli, args) {
    const found = await cli.client.call('listAccounts', { query: { limit: 1000 } })
    const rows = found.items.map((it) => [
      it.number,
      it.email,
      it.name,
      it.isOperator ? 'operator' : 'tenant',
      ago(it.createdAt, cli.now()),
      it.id,
    ])
    cli.print(args.flag('json') ? json(found) : table(['NUMBER', 'EMAIL', 'NAME', 'KIND', 'AGE', 'ID'], rows))
    return undefined
  },
}

const accountShow: Command = {
  name: 'account show',
  summary: 'show your own account, or another (operators)',
  positionals: ['EMAIL|ID?'],
  options: JSON_OPTION,
  async run(cli, args) {
    const wanted = args.at['EMAIL|ID']
    const account =
      wanted === undefined
        ? await cli.client.call('getAccount')
        : (await cli.client.call('listAccounts', { query: { limit: 1000 } })).items.find((it) =>
            [it.id, it.uuid, String(it.number), it.email].includes(wanted),
          )
    if (!account) throw new CliError('notFound', `no account ${JSON.stringify(wanted)}`)
    cli.print(
      args.flag('json')
        ? json(account)
        : fields(Object.entries(account).map(([name, value]) => [name, value === null ? null : String(value)])),
    )
    return undefined
  },
}

const LIMITS = ['bytes', 'objects', 'buckets'] as const

const accountQuota: Command = {
  name: 'account quota',
  summary: 'what an account may store, and stores; operators may change it',
  positionals: ['EMAIL|ID?'],
  options: {
    bytes: { type: 'string', value: 'SIZE', help: 'of all its buckets, for example 500GiB; none = no limit' },
    objects: { type: 'string', value: 'COUNT', help: 'versions and delete markers count; none = no limit' },
    buckets: { type: 'string', value: 'COUNT', help: 'none = the usual 1000' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const ref = args.at['EMAIL|ID']
    const given = LIMITS.flatMap((name) => {
      const text = args.text(name)
      return text === undefined ? [] : [[name, limitOf(name, text)] as const]
    })
    if (given.length > 0 && ref === undefined)
      throw new CliError('usage', 'say whose quota: account quota EMAIL --bytes …')
    const body = Object.fromEntries(given)
    const found =
      ref === undefined
        ? await cli.client.call('getQuota')
        : given.length > 0
          ? await cli.client.call('changeQuota', { id: ref, body })
          : await cli.client.call('getQuotaOf', { id: ref })
    if (args.flag('json')) {
      cli.print(json(found))
      return undefined
    }
    const { quota, used } = found
    const rows = [
      ['bytes', bytes(used.bytes + used.uploadBytes), quota.bytes === null ? 'no limit' : bytes(quota.bytes)],
      ['objects', used.versions, quota.objects ?? 'no limit'],
      ['buckets', used.buckets, quota.buckets ?? 1000],
    ]
    cli.print(table(['', 'USED', 'LIMIT'], rows))
    return undefined
  },
}

const UNITS: Record<string, number> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
}

function limitOf(name: string, text: string): number | null {
  if (text === 'none') return null
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([kmgt]i?)?b?$/i.exec(text) ?? []
  const value = digits === undefined ? Number.NaN : Math.round(Number(digits) * UNITS[unit.toLowerCase()]!)
  if (!Number.isSafeInteger(value)) throw new CliError('usage', `--${name} is a number, a size like 500GiB, or none`)
  return value
}

const accountCredit: Command = {
  name: 'account credit',
  summary: 'what the instances of an account may cost a month, and cost; operators may change it',
  positionals: ['EMAIL|ID?', 'AMOUNT?'],
  options: JSON_OPTION,
  async run(cli, args) {
    const [ref, amount] = [args.at['EMAIL|ID'], args.at.AMOUNT]
    const found =
      ref === undefined
        ? await cli.client.call('getCredit')
        : amount === undefined
          ? await cli.client.call('getCreditOf', { id: ref })
          : await cli.client.call('setCredit', { id: ref, body: { creditMinor: minorOf(amount) } })
    const major = (minor: number) => (minor / 100).toFixed(2)
    cli.print(
      args.flag('json')
        ? json(found)
        : fields([
            ['credit', found.creditMinor === null ? 'unlimited' : major(found.creditMinor)],
            ['committed', `${major(found.committedMinor)} a month`],
          ]),
    )
    return undefined
  },
}

/** In the currency of the plans, all of which have hundredths. */
function minorOf(text: string): number | null {
  if (text === 'none') return null
  const minor = /^\d+(\.\d{1,2})?$/.test(text) ? Math.round(Number(text) * 100) : Number.NaN
  if (!Number.isSafeInteger(minor)) throw new CliError('usage', 'an amount is a number like 500 or 99.50, or none')
  return minor
}

const keyCreate: Command = {
  name: 'key create',
  summary: 'create an API key, whose text is shown once',
  positionals: ['NAME'],
  options: {
    service: { type: 'string', value: SERVICES.join('|'), help: 'what it opens; default api' },
    scope: {
      type: 'string',
      value: 'SCOPE',
      multiple: true,
      help: 'only these scopes; default: all that the service has',
    },
    'read-only': { type: 'boolean', help: 'may look but not touch' },
    expires: { type: 'string', value: 'TIME', help: 'ISO 8601, for example 2027-01-01T00:00:00Z' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const service = SERVICES.find((it) => it === (args.text('service') ?? 'api'))
    if (!service) throw new CliError('usage', `--service is one of ${SERVICES.join(', ')}`)
    const wanted = args.texts('scope')
    const known = SCOPES_OF_SERVICE[service]
    const scopes = known.filter((scope) => wanted.includes(scope))
    const unknown = wanted.find((scope) => !known.some((it) => it === scope))
    if (unknown)
      throw new CliError(
        'usage',
        `--scope ${unknown}: a key for ${service} can have ${known.join(', ')} (read-only: ${readOnly(known).join(', ')})`,
      )
    const expiresAt = args.text('expires')
    const made = await cli.client.call('createKey', {
      body: {
        name: args.at.NAME!,
        service,
        readOnly: args.flag('read-only'),
        ...(scopes.length > 0 && { scopes }),
        ...(expiresAt !== undefined && { expiresAt }),
      },
    })
    cli.print(args.flag('json') ? json(made) : made.apiKey)
    if (!args.flag('json')) cli.note(`key ${made.key.id} (${made.key.scopes.join(', ')}); its text is not shown again`)
    return undefined
  },
}

const keyList: Command = {
  name: 'key list',
  summary: 'list your API keys',
  positionals: [],
  options: JSON_OPTION,
  async run(cli, args) {
    const found = await cli.client.call('listKeys')
    const state = (it: (typeof found.items)[number]) => {
      if (it.revokedAt) return 'revoked'
      return it.expiresAt && Date.parse(it.expiresAt) <= cli.now().getTime() ? 'expired' : 'valid'
    }
    const rows = found.items.map((it) => [
      it.name,
      it.service,
      state(it),
      ago(it.lastUsedAt, cli.now()),
      it.keyId,
      it.id,
    ])
    cli.print(args.flag('json') ? json(found) : table(['NAME', 'SERVICE', 'STATE', 'LAST USED', 'KEY', 'ID'], rows))
    return undefined
  },
}

const keyRevoke: Command = {
  name: 'key revoke',
  summary: 'revoke an API key, at once and for good',
  positionals: ['ID'],
  options: JSON_OPTION,
  async run(cli, args) {
    const key = await cli.client.call('revokeKey', { id: args.at.ID! })
    cli.print(args.flag('json') ? json(key) : `revoked ${key.name} (${key.id})`)
    return undefined
  },
}

export const accountCommands: readonly Command[] = [
  accountCreate,
  accountList,
  accountShow,
  accountQuota,
  accountCredit,
]
export const keyCommands: readonly Command[] = [keyCreate, keyList, keyRevoke]
