/** `backup rsync …`: room for files of an instance, filled by any rsync. */
import type { RsyncAccount } from '../dialects/native/contract/rsync-accounts.ts'
import { type Cli, type Command, JSON_OPTION } from './command.ts'
import { CliError } from './exit.ts'
import { bytes, fields, json } from './output.ts'

const rsync: Command = {
  name: 'backup rsync',
  summary: 'where an instance sends files with rsync: show it, or switch it on or off',
  positionals: ['INSTANCE', 'on|off|show?'],
  options: JSON_OPTION,
  async run(cli, args) {
    const [id, word = 'show'] = [args.at.INSTANCE!, args.at['on|off|show']]
    if (word === 'off') {
      const answer = await cli.client.call('disableRsyncAccount', { id })
      cli.print(args.flag('json') ? json(answer) : 'off; its files stay until the instance is purged')
      return undefined
    }
    const account = await found(cli, id, word)
    cli.print(args.flag('json') ? json(account) : face(account))
    return undefined
  },
}

function found(cli: Cli, id: string, word: string): Promise<RsyncAccount> {
  if (word === 'on') return cli.client.call('enableRsyncAccount', { id })
  if (word === 'show') return cli.client.call('getRsyncAccount', { id })
  throw new CliError('usage', `on, off or show, not ${JSON.stringify(word)}`)
}

const face = (it: RsyncAccount) =>
  fields([
    ['address', addressOf(it)],
    ['user name', String(it.username)],
    ['password', it.password],
    ['used', it.usedBytes === null ? null : `${bytes(it.usedBytes)} of ${bytes(it.quotaBytes)}`],
    ['measured', it.measuredAt],
    ['send', `RSYNC_PASSWORD=${it.password} rsync -a FOLDER/ ${addressOf(it)}`],
    ['fetch', `RSYNC_PASSWORD=${it.password} rsync -a ${addressOf(it)} FOLDER/`],
  ])

function addressOf({ username, host, port }: RsyncAccount): string {
  return `rsync://${username}@${host.includes(':') ? `[${host}]` : host}:${port}/${username}/`
}

export const rsyncCommands: readonly Command[] = [rsync]
