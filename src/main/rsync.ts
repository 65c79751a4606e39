/** Debian's rsync as the server of file backups. */

import { rsyncPlaces } from '../drivers/rsync/config-text.ts'
import { createRsyncServer, type RsyncServer } from '../drivers/rsync/rsync.ts'
import type { Paths } from '../lib/paths.ts'
import type { Listen } from './config.ts'
import { ensureSystemUser } from './system-user.ts'

const USER = 'havn-rsync'

/** Connections are processes; of that user, whoever started them. */
const PROCESSES_MAX = 256

export const openRsync = (paths: Paths, masterKey: Buffer): RsyncServer =>
  createRsyncServer({ folder: paths.rsync, masterKey, owner: ensureSystemUser(USER) })

export const rsyncLog = (paths: Paths): string => rsyncPlaces(paths.rsync).log

/**
 * The command that serves. It has no root and gets none, and ends with its supervisor (prctl(2), PR_SET_PDEATHSIG);
 * connections under way then go on to their end.
 */
export function rsyncCommand(paths: Paths, { host, port }: Listen): readonly [program: string, ...args: string[]] {
  const owner = ensureSystemUser(USER)
  const confine = owner
    ? [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', '--inh-caps=-all', '--bounding-set=-all']
    : []
  const limit = owner ? ['prlimit', `--nproc=${PROCESSES_MAX}`, '--core=0', '--'] : []
  const { config } = rsyncPlaces(paths.rsync)
  return [
    ...(['setpriv', ...confine, '--no-new-privs', '--pdeathsig', 'TERM', '--', ...limit] as const),
    ...['rsync', '--daemon', '--no-detach', `--config=${config}`, `--address=${host}`, `--port=${port}`],
    `--log-file=${rsyncLog(paths)}`,
  ]
}
