/** A Havn as people run it: `./havn` in processes of its own, on a throw-away home and free ports. */
import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ComputeDriver } from '../src/drivers/compute/compute.ts'
import { createQemuDriver } from '../src/drivers/compute/qemu/driver.ts'
import { type Paths, pathsOf } from '../src/lib/paths.ts'
import { type Config, readConfig } from '../src/main/config.ts'
import { livingProcesses, type ProcessEntry } from '../src/main/process-table.ts'

export interface Outcome {
  code: number
  out: string
  err: string
}

export interface Havn {
  paths: Paths
  config: Config
  env: NodeJS.ProcessEnv
  /** `./havn WORDS…` to its end; the words are split at blanks unless they come as a list. */
  run(words: string | readonly string[], more?: NodeJS.ProcessEnv): Promise<Outcome>
  /** The same, parsed; throws when it failed. */
  json<T = Record<string, unknown>>(words: string): Promise<T>
  /** A call as curl makes it, with the owner's key; the body is null when there is none. */
  curl<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }>
  process(name: string): ProcessEntry | undefined
  /** The driver's eyes on this home, from outside of its processes; not opened. */
  driver(): ComputeDriver
  /** Nothing of it is left, whatever state it is in. */
  close(): Promise<void>
}

const PROGRAM = join(import.meta.dirname, '../src/main/havn.ts')

export async function newHavn(settings: NodeJS.ProcessEnv): Promise<Havn> {
  const home = mkdtempSync(join(tmpdir(), 'hv-')) // short: socket paths hold 107 bytes
  chmodSync(home, 0o711)
  const paths = pathsOf(home)
  const [api, s3, dns] = await freePorts(3)
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('HAVN_'))
  const env: NodeJS.ProcessEnv = {
    ...Object.fromEntries(inherited),
    HAVN_HOME: home,
    HAVN_LISTEN: `127.0.0.1:${api}`,
    HAVN_S3_LISTEN: `127.0.0.1:${s3}`,
    HAVN_DNS_LISTEN: `127.0.0.1:${dns}`,
    HAVN_VERIFY: 'off', // two machines at once starve each other under emulation
    ...settings,
  }
  const config = readConfig(env)
  const driver = () => createQemuDriver({ paths, prefix: config.prefix, accel: config.accel })
  const run: Havn['run'] = (words, more = {}) =>
    execute(process.execPath, [PROGRAM, ...(typeof words === 'string' ? words.split(' ') : words)], { ...env, ...more })
  return {
    paths,
    config,
    env,
    run,
    async json(words) {
      const { code, out, err } = await run(`${words} --json`)
      if (code !== 0) throw new Error(`./havn ${words}: exit code ${code}\n${out}${err}`)
      return JSON.parse(out)
    },
    async curl(method, path, body) {
      const { apiKey, apiUrl } = JSON.parse(readFileSync(paths.credentials, 'utf8')) as Record<string, string>
      const data = body === undefined ? [] : ['-H', 'Content-Type: application/json', '-d', JSON.stringify(body)]
      const args = [
        '-sS',
        '-m',
        '60',
        '-X',
        method,
        `${apiUrl}${path}`,
        '-H',
        `X-API-Key: ${apiKey}`,
        '-H',
        `Authorization: Bearer ${apiKey}`,
        ...data,
      ]
      const { code, out, err } = await execute('curl', [...args, '-w', '\n%{http_code}'], process.env)
      if (code !== 0) throw new Error(`curl ${method} ${path}: ${err}`)
      const at = out.lastIndexOf('\n')
      return { status: Number(out.slice(at + 1)), body: at > 0 ? JSON.parse(out.slice(0, at)) : null }
    },
    process: (name) => livingProcesses(paths).find((it) => it.name === name),
    driver,
    async close() {
      await run('down')
      if (config.compute === 'qemu') {
        const left = driver()
        for (const id of (await left.list()).keys()) await left.ensureAbsent(id, new AbortController().signal)
        await left.removeHostParts()
      }
      rmSync(home, { recursive: true, force: true })
    },
  }
}

export function execute(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(program, args, { env, maxBuffer: 16 << 20 }, (error, out, err) => {
      const code = error ? (typeof error.code === 'number' ? error.code : 255) : 0
      resolve({ code, out, err: err || (code === 255 ? String(error?.message) : '') })
    })
  })
}

/** Ports of the loopback that nobody holds just now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** The pids whose command line has that text in it; `\0` stands between the words. */
export function processesWith(text: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text)
    } catch {
      return false // it has just ended
    }
  })
}
