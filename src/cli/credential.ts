/** `credential …`: what an instance is logged in to with. Passwords come on stdin: a command line is everybody's to see. */
import { text } from 'node:stream/consumers'
import { CREDENTIAL_TYPES, type CredentialType } from '../model/credential.ts'
import { type Args, type Command, JSON_OPTION } from './command.ts'
import { CliError } from './exit.ts'
import { ago, json, table } from './output.ts'

const TYPE = {
  type: { type: 'string', value: 'TYPE', help: `${CREDENTIAL_TYPES.join(' or ')} (default: the first)` },
} as const

function typeOf(args: Args): CredentialType {
  const word = args.text('type') ?? CREDENTIAL_TYPES[0]
  const type = CREDENTIAL_TYPES.find((one) => one === word)
  if (!type) throw new CliError('usage', `--type is ${CREDENTIAL_TYPES.join(' or ')}`)
  return type
}

const list: Command = {
  name: 'credential list',
  summary: 'list the credentials kept for an instance',
  positionals: ['NAME'],
  options: JSON_OPTION,
  async run(cli, args) {
    const found = await cli.client.call('listCredentials', { id: args.at.NAME!, query: { limit: 1000 } })
    const rows = found.items.map((it) => [it.type, it.username, ago(it.updatedAt, cli.now())])
    cli.print(args.flag('json') ? json(found) : table(['TYPE', 'USER', 'AGE'], rows))
    return undefined
  },
}

const show: Command = {
  name: 'credential show',
  summary: "print a password; without USER, root's",
  positionals: ['NAME', 'USER?'],
  options: { ...TYPE, ...JSON_OPTION },
  async run(cli, args) {
    const body = { type: typeOf(args), username: args.at.USER ?? 'root' }
    const secret = await cli.client.call('revealCredential', { id: args.at.NAME!, body })
    cli.print(args.flag('json') ? json(secret) : secret.password)
    return undefined
  },
}

const set: Command = {
  name: 'credential set',
  summary: 'write down the password that comes on stdin; nothing changes inside the instance',
  positionals: ['NAME', 'USER'],
  options: { ...TYPE, ...JSON_OPTION },
  async run(cli, args) {
    const password = (await text(cli.input)).replace(/\r?\n$/, '')
    const body = { type: typeOf(args), username: args.at.USER!, password }
    const credential = await cli.client.call('putCredential', { id: args.at.NAME!, body })
    cli.print(args.flag('json') ? json(credential) : `kept the password of ${credential.username}`)
    return undefined
  },
}

export const credentialCommands: readonly Command[] = [list, show, set]
