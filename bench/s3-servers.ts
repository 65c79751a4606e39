/** The servers of bench/s3.ts: Havn as `up` runs it, nginx with the same files, and s3rver, each in its own processes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SigningKeys } from '../src/lib/sigv4-sign.ts'
import { findCommand } from '../src/main/packages.ts'
import { livingProcesses } from '../src/main/process-table.ts'
import { eventually } from '../test/eventually.ts'
import { freePorts, type Havn, newHavn } from '../test/havn.ts'
import type { Scope } from './tools.ts'

export interface Server {
  name: string
  host: string
  port: number
  /** Null: it asks for no signature. */
  keys: SigningKeys | null
  /** Those that serve, now. */
  pids(): number[]
}

export interface HavnServer extends Server {
  havn: Havn
}

const REGION = 'eu-north-1'

/** Embedded PostgreSQL that syncs, one S3 process per core or what `up` thinks right. */
export async function startHavn(scope: Scope): Promise<HavnServer> {
  const havn = await newHavn({ HAVN_COMPUTE: 'simulator' })
  scope.after(() => havn.close())
  const { code, out, err } = await havn.run('up --detach --empty')
  if (code !== 0) throw new Error(`./havn up: ${out}${err}`)
  const known = JSON.parse(await readFile(havn.paths.credentials, 'utf8')) as Record<string, string>
  const keys = { accessKeyId: known.s3AccessKeyId!, secretAccessKey: known.s3SecretAccessKey!, region: REGION }
  const { hostname, port } = new URL(known.s3Url!)
  await eventually('Havn serves S3', () => isListening(Number(port)))
  const pids = () =>
    livingProcesses(havn.paths)
      .filter(({ name }) => name.startsWith('s3'))
      .map(({ pid }) => pid)
  return { name: 'Havn', host: hostname, port: Number(port), keys, pids, havn }
}

/** Debian's nginx as a file server that takes PUT; it neither authenticates nor syncs nor hashes. Null = not there. */
export async function startNginx(scope: Scope): Promise<(Server & { folder: string }) | null> {
  const program = findCommand('nginx')
  if (!program) return null
  const folder = await mkdtemp(join(tmpdir(), 'havn-bench-nginx-'))
  scope.after(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  await Promise.all(['files', 'body', 'other'].map((name) => mkdir(join(folder, name), { mode: 0o777 })))
  const [port] = await freePorts(1)
  const file = join(folder, 'nginx.conf')
  await writeFile(file, nginxConfig(folder, port!))
  const child = spawn(program, ['-p', folder, '-c', file], { stdio: ['ignore', 'ignore', 'inherit'] })
  scope.after(() => ended(child))
  await eventually('nginx serves', () => isListening(port!))
  const pids = () => [child.pid!]
  return { name: 'nginx', host: '127.0.0.1', port: port!, keys: null, pids, folder: join(folder, 'files') }
}

const nginxConfig = (folder: string, port: number) => `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes auto;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/other;
  fastcgi_temp_path ${folder}/other;
  uwsgi_temp_path ${folder}/other;
  scgi_temp_path ${folder}/other;
  server {
    listen 127.0.0.1:${port};
    location / {
      root ${folder}/files;
      dav_methods PUT DELETE;
      create_full_put_path on;
    }
  }
}
`

/** From the PATH (`npm install --global s3rver`); null = not there. */
export async function startS3rver(scope: Scope): Promise<Server | null> {
  const program = findCommand('s3rver')
  if (!program) return null
  const folder = await mkdtemp(join(tmpdir(), 'havn-bench-s3rver-'))
  scope.after(() => rm(folder, { recursive: true, force: true }))
  const [port] = await freePorts(1)
  const args = ['--directory', folder, '--port', String(port), '--silent', '--address', '127.0.0.1']
  const child = spawn(program, args, { stdio: 'ignore' })
  scope.after(() => ended(child))
  await eventually('s3rver serves', () => isListening(port!))
  const keys = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER', region: 'us-east-1' }
  return { name: 's3rver', host: '127.0.0.1', port: port!, keys, pids: () => [child.pid!] }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const end = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await end
}

export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
