/**
 * The system's programs that Havn needs. As root on Debian or Ubuntu the missing ones are installed with apt, after
 * saying so; elsewhere the answer is an error with the command to run. Nothing is started by it: a PostgreSQL package
 * would make and run a cluster of its own, which is switched off around the install.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findPostgres } from './postgres-binaries.ts'

export interface Need {
  /** The program looked for, on the PATH and in the sbin folders. */
  command: string
  /** Debian's package that has it. */
  debian: string
  /** When a look on the PATH does not tell. */
  isThere?: () => boolean
}

const POSTGRES: Need = { command: 'postgres', debian: 'postgresql', isThere: () => findPostgres() !== null }
/** Havn's own key to its instances is made with it, whatever they are. */
const KEYS: Need = { command: 'ssh-keygen', debian: 'openssh-client' }
const MACHINES: readonly Need[] = [
  { command: 'qemu-system-x86_64', debian: 'qemu-system-x86' },
  { command: 'qemu-img', debian: 'qemu-utils' },
  { command: 'ip', debian: 'iproute2' },
  { command: 'nft', debian: 'nftables' },
  { command: 'ssh', debian: 'openssh-client' },
  // Images are built from Debian's packages, whose kernel modules are compressed with it.
  { command: 'xz', debian: 'xz-utils' },
  { command: 'mmdebstrap', debian: 'mmdebstrap' },
  { command: 'mke2fs', debian: 'e2fsprogs' },
  { command: 'zstd', debian: 'zstd' },
]

const RSYNC: readonly Need[] = [
  { command: 'rsync', debian: 'rsync' },
  { command: 'setpriv', debian: 'util-linux' },
  { command: 'prlimit', debian: 'util-linux' },
]

/** What the tests play other people's clients with. */
const CLIENTS: readonly Need[] = [
  { command: 'curl', debian: 'curl' },
  { command: 'fsck.vfat', debian: 'dosfstools' },
  { command: 'mount', debian: 'mount' },
  { command: 'mcopy', debian: 'mtools' },
  { command: 'sfdisk', debian: 'fdisk' },
  pythonModule('requests'),
  pythonModule('boto3'),
  { command: 'php', debian: 'php-cli' },
  phpModule('curl'),
  // S3 clients in Debian's version, whatever else of that name stands earlier on the PATH.
  { command: 'aws', debian: 'awscli', isThere: () => existsSync('/usr/bin/aws') },
  ...['s3cmd', 'rclone', 'restic', 's3fs', 'openssl'].map((name) => ({
    command: name,
    debian: name,
    isThere: () => existsSync(join('/usr/bin', name)),
  })),
]

function pythonModule(name: string): Need {
  const isThere = () => spawnSync('/usr/bin/python3', ['-c', `import ${name}`]).status === 0
  return { command: `python3 with ${name}`, debian: `python3-${name}`, isThere }
}

function phpModule(name: string): Need {
  const isThere = () => spawnSync('php', ['-r', `exit((int)!extension_loaded('${name}'));`]).status === 0
  return { command: `php with ${name}`, debian: `php-${name}`, isThere }
}

export interface Wanted {
  /** The private PostgreSQL; not where HAVN_DATABASE_URL names another. */
  database: boolean
  /** Real instances; the simulator needs none of it. */
  machines: boolean
  /** File backups. */
  rsync?: boolean
  /** For the test suite. */
  clients?: boolean
}

export const needsOf = ({ database, machines, rsync = false, clients = false }: Wanted): readonly Need[] => [
  KEYS,
  ...(database ? [POSTGRES] : []),
  ...(machines ? MACHINES : []),
  ...(rsync ? RSYNC : []),
  ...(clients ? CLIENTS : []),
]

/** Installs what is missing, or throws an error that says how to. `say` gets a line for every step that takes time. */
export function ensurePackages(wanted: Wanted, say: (line: string) => void): void {
  const missing = needsOf(wanted).filter((need) => !isThere(need))
  if (missing.length === 0) return
  const packages = [...new Set(missing.map((need) => need.debian))]
  const names = missing.map((need) => need.command).join(', ')
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`
  if (!findCommand('apt-get')) {
    throw new Error(`missing on this machine: ${names}. Install them; Debian's packages are: ${packages.join(' ')}`)
  }
  if (process.getuid?.() !== 0)
    throw new Error(`missing on this machine: ${names}. Install them with:\n  sudo ${command}`)
  say(`missing: ${names}; installing with: ${command}`)
  install(packages)
  const still = missing.filter((need) => !isThere(need)).map((need) => need.command)
  if (still.length > 0) throw new Error(`apt-get installed ${packages.join(' ')}, but ${still.join(', ')} is not there`)
}

const isThere = (need: Need) => (need.isThere ? need.isThere() : findCommand(need.command) !== null)

/** sbin too: a plain user's PATH lacks it on Debian, and `ip` and `nft` are there. */
export function findCommand(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']
  for (const folder of folders) {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return join(folder, name)
    } catch {
      // the next one
    }
  }
  return null
}

const NO_CLUSTER = '/etc/postgresql-common/createcluster.d/havn.conf'

function install(packages: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args: string[]) => spawnSync('apt-get', args, { env, encoding: 'utf8', maxBuffer: 64 << 20 })
  const touchesPostgres = packages.some((name) => name.startsWith('postgresql'))
  const wasThere = existsSync(NO_CLUSTER)
  if (touchesPostgres && !wasThere) {
    mkdirSync(dirname(NO_CLUSTER), { recursive: true })
    writeFileSync(NO_CLUSTER, 'create_main_cluster = false\n')
  }
  try {
    // Old lists name versions that the mirrors dropped, so a first failure is answered by fresh ones.
    const args = ['install', '-y', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...packages]
    let result = apt(...args)
    if (result.status !== 0) {
      apt('update', '-qq', '-o', 'DPkg::Lock::Timeout=300')
      result = apt(...args)
    }
    if (result.status !== 0) throw new Error(`apt-get install ${packages.join(' ')} failed:\n${result.stderr.trim()}`)
  } finally {
    if (touchesPostgres && !wasThere) rmSync(NO_CLUSTER, { force: true })
  }
}
