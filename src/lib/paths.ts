/** Where everything lies under HAVN_HOME; the one place that knows the folder names. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'

export interface Paths {
  home: string
  credentials: string
  lock: string
  database: string
  images: string
  uploads: string
  instances: string
  /** Bodies of object storage, when they are kept as files. */
  objects: string
  tasks: string
  /** What backups need while they are made. */
  backups: string
  /** Files that instances send with rsync. */
  rsync: string
  keys: string
  logs: string
  /** Sockets; a unix socket path holds 107 bytes, so a long home gets a short folder elsewhere. */
  run: string
  /** The private PostgreSQL's; only its user may enter. */
  databaseSockets: string
  simulator: string
}

const SOCKET_NAME_MAX = 45 // `/inst_` + 26 digits + `/` + the longest socket name

/**
 * The short folder follows from home and user alone, so that another login, a cron job or the next boot finds the same
 * one. $XDG_RUNTIME_DIR would not do: it goes when its user logs out, and the machines stay.
 */
function runFolder(home: string, uid: number): string {
  const run = join(home, 'run')
  if (run.length + SOCKET_NAME_MAX <= 107) return run
  const digest = createHash('sha256').update(home).digest('hex').slice(0, 12)
  return uid === 0 ? `/run/havn-${digest}` : `/tmp/havn-${uid}-${digest}`
}

export function pathsOf(home: string, uid = process.getuid?.() ?? 0): Paths {
  const at = (name: string) => join(home, name)
  const run = runFolder(home, uid)
  return {
    home,
    credentials: at('credentials.json'),
    lock: at('lock'),
    database: at('database'),
    images: at('images'),
    uploads: at('uploads'),
    instances: at('instances'),
    objects: at('objects'),
    tasks: at('tasks'),
    backups: at('backups'),
    rsync: at('rsync'),
    keys: at('keys'),
    logs: at('logs'),
    run,
    databaseSockets: join(run, 'postgres'),
    simulator: at('simulator'),
  }
}
