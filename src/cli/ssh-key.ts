/** `ssh-key …`: keys that are kept for instances to come. */
import { type Command, JSON_OPTION } from './command.ts'
import { readKeyFile } from './instance.ts'
import { ago, json, table } from './output.ts'

const list: Command = {
  name: 'ssh-key list',
  summary: 'list your stored SSH keys',
  positionals: [],
  options: JSON_OPTION,
  async run(cli, args) {
    const found = await cli.client.call('listSshKeys')
    const rows = found.items.map((it) => [it.number, it.name, it.fingerprint, ago(it.createdAt, cli.now()), it.id])
    cli.print(args.flag('json') ? json(found) : table(['NUMBER', 'NAME', 'FINGERPRINT', 'AGE', 'ID'], rows))
    return undefined
  },
}

const add: Command = {
  name: 'ssh-key add',
  summary: 'store a public key, for instances to come',
  positionals: ['NAME', 'FILE'],
  options: JSON_OPTION,
  async run(cli, args) {
    const body = { name: args.at.NAME!, publicKey: readKeyFile(args.at.FILE!) }
    const key = await cli.client.call('addSshKey', { body })
    cli.print(args.flag('json') ? json(key) : `stored ${key.name} (${key.id}, number ${key.number})`)
    return undefined
  },
}

const remove: Command = {
  name: 'ssh-key delete',
  summary: 'forget a stored SSH key; instances keep what they have',
  positionals: ['NAME|ID'],
  options: JSON_OPTION,
  async run(cli, args) {
    const key = await cli.client.call('deleteSshKey', { id: args.at['NAME|ID']! })
    cli.print(args.flag('json') ? json(key) : `deleted ${key.name} (${key.id})`)
    return undefined
  },
}

export const sshKeyCommands: readonly Command[] = [list, add, remove]
