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
  tasks: string
  keys: string
  logs: string
  /** Sockets; a unix socket path holds 107 bytes, so a long home gets a short folder elsewhere. */
  run: string
  simulator: string
}

const SOCKET_NAME_MAX = 45 // `/inst_` + 26 digits + `/` + the longest socket name

export function pathsOf(home: string): Paths {
  const at = (name: string) => join(home, name)
  const run = at('run')
  const digest = createHash('sha256').update(home).digest('hex').slice(0, 12)
  return {
    home,
    credentials: at('credentials.json'),
    lock: at('lock'),
    database: at('database'),
    images: at('images'),
    uploads: at('uploads'),
    instances: at('instances'),
    tasks: at('tasks'),
    keys: at('keys'),
    logs: at('logs'),
    run: run.length + SOCKET_NAME_MAX <= 107 ? run : `/tmp/havn-${digest}`,
    simulator: at('simulator'),
  }
}
