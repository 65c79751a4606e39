/** The supervisor as people start it, on the simulator: first start, second start, every kind of kill, the end. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathsOf } from '../../src/lib/paths.ts'
import { isAlive, signalProcess } from '../../src/lib/process-identity.ts'
import { waitFor } from '../../src/lib/wait.ts'
import { findHolder } from '../../src/main/home-lock.ts'
import { livingProcesses } from '../../src/main/process-table.ts'

const LIMIT = { timeoutMs: 60_000 }
const havn = join(import.meta.dirname, '../../src/main/havn.ts')
const home = mkdtempSync(join(tmpdir(), 'havn-up-'))
const paths = pathsOf(home)
let env: NodeJS.ProcessEnv

interface Outcome {
  code: number
  out: string
  err: string
}
function run(words: string, more: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [havn, ...words.split(' ')], { env: { ...env, ...more } }, (error, out, err) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, out, err }),
    )
  })
}
const find = (name: string) => livingProcesses(paths).find((it) => it.name === name)
const isReady = () =>
  fetch(`http://${env.HAVN_LISTEN}/readyz`).then(
    (response) => response.ok,
    () => false,
  )
const pids = () => new Set(livingProcesses(paths).map(({ name, pid }) => `${name} ${pid}`))

before(async () => {
  chmodSync(home, 0o711)
  const { HAVN_DATABASE_URL: _, ...others } = process.env
  env = {
    ...others,
    HAVN_HOME: home,
    HAVN_COMPUTE: 'simulator',
    HAVN_LISTEN: `127.0.0.1:${await freePort()}`,
    HAVN_S3_LISTEN: `127.0.0.1:${await freePort()}`,
    HAVN_S3_PROCESSES: '2',
  }
})
after(async () => {
  await run('down')
  rmSync(home, { recursive: true, force: true })
})

test('the first start makes the owner and the instance first, and returns when that runs', async () => {
  const { code, out, err } = await run('up --detach')
  assert.equal(code, 0, out + err)
  const credentials = JSON.parse(readFileSync(paths.credentials, 'utf8')) as Record<string, string>
  assert.deepEqual(Object.keys(credentials).sort(), [
    'apiKey',
    'apiUrl',
    'consolePassword',
    'dnsAddress',
    'email',
    's3AccessKeyId',
    's3SecretAccessKey',
    's3Url',
  ])
  assert.equal(statSync(paths.credentials).mode & 0o777, 0o600)
  assert.ok(out.includes(credentials.apiKey!))
  assert.ok(!readFileSync(join(paths.logs, 'havn.log'), 'utf8').includes(credentials.apiKey!), 'the log holds the key')
  const first = JSON.parse((await run('instance show first --json')).out) as { state: string }
  assert.equal(first.state, 'running')
  assert.equal((await run('status')).code, 0)
})

test('a second up says who holds the home', async () => {
  const { code, err } = await run('up')
  assert.equal(code, 4)
  assert.match(err, new RegExp(`already runs on ${home}: process ${findHolder(paths)?.pid}, since 20`))
})

for (const name of ['api', 'worker', 's3-2', 'postgres']) {
  test(`${name} killed: it comes back by itself`, async () => {
    const victim = find(name)!
    signalProcess(victim, 'SIGKILL')
    assert.ok(await waitFor(() => (find(name)?.pid ?? victim.pid) !== victim.pid, LIMIT), `no new ${name}`)
    assert.ok(await waitFor(isReady, LIMIT), 'not ready again')
    // A worker that was just starting ends with the database, and is started again as well.
    assert.ok(await waitFor(() => livingProcesses(paths).length === 6, LIMIT), 'not all processes are back')
  })
}

test('the supervisor killed: its children end, PostgreSQL is taken over, nothing is made twice', async () => {
  const [holder, worker, api, postgres] = [findHolder(paths)!, find('worker')!, find('api')!, find('postgres')!]
  signalProcess(holder, 'SIGKILL')
  assert.ok(await waitFor(() => !isAlive(worker) && !isAlive(api), LIMIT), 'children outlive their supervisor')
  const { code, out, err } = await run('up --detach')
  assert.equal(code, 0, out + err)
  assert.equal(find('postgres')?.pid, postgres.pid)
  const { items } = JSON.parse((await run('instance list --json')).out) as { items: { name: string }[] }
  assert.deepEqual(
    items.map(({ name }) => name),
    ['first'],
  )
})

test('everything killed at once, a worker that hangs among it: the next up comes up', async () => {
  const all = livingProcesses(paths)
  signalProcess(find('worker')!, 'SIGSTOP')
  for (const it of all.filter(({ name }) => name !== 'worker')) signalProcess(it, 'SIGKILL')
  const { code, out, err } = await run('up --detach')
  assert.equal(code, 0, out + err)
  assert.equal(all.some(isAlive), false)
  assert.ok(await isReady())
})

test('down ends every process; a second down is no error', async () => {
  const all = livingProcesses(paths)
  assert.equal(all.length, 6)
  assert.equal((await run('down')).code, 0)
  assert.equal(all.some(isAlive), false)
  assert.equal(findHolder(paths), null)
  const again = await run('down')
  assert.deepEqual([again.code, again.out], [0, 'nothing ran\n'])
  assert.equal((await run('instance list')).code, 5)
})

test('what cannot be is refused in clear words, and leaves nothing running', async (t) => {
  const other = await run('up', { HAVN_COMPUTE: 'qemu', HAVN_LISTEN: `127.0.0.1:${await freePort()}` })
  assert.equal(other.code, 4, other.out + other.err)
  assert.match(other.err, /made with HAVN_COMPUTE=simulator/)

  const server = createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const taken = `127.0.0.1:${(server.address() as { port: number }).port}`
  const port = await run('up', { HAVN_LISTEN: taken })
  assert.equal(port.code, 4)
  assert.match(port.err, new RegExp(`${taken} is taken by another program.*HAVN_LISTEN`))

  const s3Port = await run('up', { HAVN_S3_LISTEN: taken })
  assert.equal(s3Port.code, 4)
  assert.match(s3Port.err, new RegExp(`${taken} is taken by another program.*HAVN_S3_LISTEN`))

  const setting = await run('up', { HAVN_LISTEN: 'nonsense' })
  assert.equal(setting.code, 2)
  assert.match(setting.err, /HAVN_LISTEN: "nonsense" is not HOST:PORT/)
  assert.deepEqual(pids(), new Set())
  assert.equal(existsSync(paths.lock), false)
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
