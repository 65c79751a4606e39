/** What rsyncd.conf(5) calls its configuration, its secrets, and the program that it asks before each transfer. */
import { join } from 'node:path'

/** Where things lie; the folders of the accounts lie beside these, by their user names. */
export interface RsyncPlaces {
  /** Of the accounts' folders. */
  root: string
  config: string
  secrets: string
  /** The program that says whether a transfer may begin. */
  admit: string
  /** Files of which each one is an account that something was sent to or fetched from. */
  touched: string
  /** Files of which each one is an account that is full. */
  full: string
  locks: string
  log: string
}

export function rsyncPlaces(root: string): RsyncPlaces {
  const at = (name: string) => join(root, 'server', name)
  return {
    root,
    config: at('rsyncd.conf'),
    secrets: at('secrets'),
    admit: at('admit'),
    touched: at('touched'),
    full: at('full'),
    locks: at('locks'),
    log: at('rsyncd.log'),
  }
}

/** Of one account, at a time. Its lock file is its own: modules that share one share the number. */
const CONNECTIONS_MAX = 4
const IDLE_SECONDS = 600

/**
 * The server is no root and cannot change its root directory: rsync then resolves every path inside the module itself,
 * and `munge symlinks` makes each link that comes in lead nowhere until it is fetched again. `incoming chmod` keeps what
 * is stored measurable and removable where Havn is no root either.
 */
export const configText = (places: RsyncPlaces, usernames: readonly number[]): string =>
  [
    '# Havn writes this file anew whenever an account changes.',
    'use chroot = no',
    'munge symlinks = yes',
    'list = no',
    'read only = no',
    'numeric ids = yes',
    'reverse lookup = no',
    'strict modes = yes',
    'transfer logging = no',
    'incoming chmod = Du+rwx,Fu+rw',
    `timeout = ${IDLE_SECONDS}`,
    `max connections = ${CONNECTIONS_MAX}`,
    `secrets file = ${places.secrets}`,
    `pre-xfer exec = /bin/sh ${places.admit}`,
    ...usernames.flatMap((username) => [
      '',
      `[${username}]`,
      `path = ${join(places.root, String(username))}`,
      `auth users = ${username}`,
      `lock file = ${join(places.locks, String(username))}`,
    ]),
    '',
  ].join('\n')

export const secretsText = (accounts: readonly { username: number; password: string }[]): string =>
  accounts.map(({ username, password }) => `${username}:${password}\n`).join('')

/**
 * A full account may still fetch, and delete: `--existing --ignore-existing` sends no file, whatever else is asked for.
 * The words are the client's own choice, so only those pass that cannot swallow the next one as their value (a bundle of
 * letters with a `.` in it ends in `-e`'s value); what is not known here is refused.
 */
export const ADMIT = `#!/bin/sh
# rsyncd.conf(5), "pre-xfer exec": status 0 lets the transfer begin; what is printed is shown to the client.
here=\${0%/*}
: > "$here/touched/$RSYNC_MODULE_NAME" || exit 1
[ -e "$here/full/$RSYNC_MODULE_NAME" ] || exit 0
[ "$RSYNC_ARG1 $RSYNC_ARG2" = '--server --sender' ] && exit 0
refuse() {
  echo 'The quota is used up. To delete what is not in DIR: rsync -r --delete --existing --ignore-existing DIR/ ...'
  exit 1
}
existing=0
ignored=0
number=1
while eval "word=\\\${RSYNC_ARG$number-.}" && [ "$word" != . ]; do
  case $word in
    --existing) existing=1 ;;
    --ignore-existing) ignored=1 ;;
    --server | --delete | --delete-before | --delete-during | --delete-delay | --delete-after) ;;
    --delete-excluded | --force | --numeric-ids | --partial | --timeout=* | --log-format=*) ;;
    --*) refuse ;;
    -*.*) ;;
    *) refuse ;;
  esac
  number=$((number + 1))
done
[ $existing$ignored = 11 ] || refuse
`
