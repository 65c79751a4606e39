/** File backups as people use them: Debian's rsync on both ends, a whole Havn in processes of its own between. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isAlive, signalProcess } from '../../src/lib/process-identity.ts'
import { connect as connectTo, type Db } from '../../src/store/db.ts'
import { emptyDatabase } from '../database.ts'
import { eventually } from '../eventually.ts'
import { execute, freePorts, type Havn, newHavn } from '../havn.ts'

interface Account {
  username: number
  password: string
  host: string
  port: number
  usedBytes: number | null
}
const cleanups: (() => Promise<void>)[] = []
const work = mkdtempSync(join(tmpdir(), 'havn-rsync-'))
let havn: Havn
let db: Db
let one: Account
let two: Account

before(async () => {
  const { url } = await emptyDatabase({ after: (clean) => void cleanups.push(clean) })
  const [port] = await freePorts(1)
  havn = await newHavn({
    HAVN_COMPUTE: 'simulator',
    HAVN_DATABASE_URL: url,
    HAVN_RSYNC_LISTEN: `127.0.0.1:${port}`,
    HAVN_S3_PROCESSES: '1',
    HAVN_RECOVER_HOURS: '0',
  })
  db = connectTo(url)
  const started = await havn.run('up --detach --empty')
  assert.equal(started.code, 0, started.out + started.err)
  for (const name of ['one', 'two']) await havn.json(`instance create ${name} --image micro --wait`)
  one = await havn.json<Account>('backup rsync one on')
  two = await havn.json<Account>('backup rsync two on')
  for (const account of [one, two])
    await eventually('the account to be let in', async () => (await list(account)).code === 0)
})
after(async () => {
  await havn?.close()
  await db?.destroy()
  for (const clean of cleanups) await clean()
  rmSync(work, { recursive: true, force: true })
})

const url = ({ host, port }: Account, user: number, module: number | string = user) =>
  `rsync://${user}@${host}:${port}/${module}/`
const rsync = (password: string, ...args: string[]) =>
  execute('rsync', args, { ...process.env, RSYNC_PASSWORD: password })
const list = (account: Account) => rsync(account.password, url(account, account.username))
const send = (account: Account, folder: string, ...options: string[]) =>
  rsync(account.password, '-a', ...options, `${folder}/`, url(account, account.username))
const fetchInto = (account: Account, folder: string) =>
  rsync(account.password, '-a', url(account, account.username), `${folder}/`)
const at = (name: string) => join(work, name)
const stored = ({ username }: Account, name = '') => join(havn.paths.rsync, String(username), name)
const show = (name: string) => havn.json<Account>(`backup rsync ${name}`)

function folder(name: string, files: Record<string, string | Buffer>): string {
  mkdirSync(at(name), { recursive: true })
  for (const [file, content] of Object.entries(files)) writeFileSync(join(at(name), file), content)
  return at(name)
}

test('what was sent comes back, links as they were, and is measured', async () => {
  const files = folder('files', { 'a.txt': 'first', 'b.bin': Buffer.alloc(300_000, 7) })
  symlinkSync('/etc/passwd', join(files, 'link'))
  const sent = await send(one, files)
  assert.equal(sent.code, 0, sent.err)
  const back = await fetchInto(one, at('back'))
  assert.equal(back.code, 0, back.err)
  assert.equal(readFileSync(at('back/a.txt'), 'utf8'), 'first')
  assert.deepEqual(readFileSync(at('back/b.bin')), Buffer.alloc(300_000, 7))
  assert.equal((await execute('readlink', [at('back/link')], process.env)).out.trim(), '/etc/passwd')
  const { usedBytes } = await eventually('the measurement', async () => {
    const account = await show('one')
    return (account.usedBytes ?? 0) >= 300_000 && account
  })
  assert.ok(usedBytes! < 400_000)
})

test('the server is no root, and nobody else reads what it keeps', async () => {
  const server = havn.process('rsync')
  assert.ok(server)
  const { out } = await execute('id', ['-u', 'havn-rsync'], process.env)
  if (process.getuid?.() === 0) assert.equal(statSync(`/proc/${server.pid}`).uid, Number(out))
  assert.equal(statSync(join(havn.paths.rsync, 'server/secrets')).mode & 0o777, 0o600)
  assert.equal(statSync(havn.paths.rsync).mode & 0o007, 0)
})

test('a wrong password, another account and what is no account open nothing', async () => {
  const wrong = await rsync('guess', url(one, one.username))
  assert.notEqual(wrong.code, 0)
  assert.match(wrong.err, /auth failed/)
  const foreign = await rsync(two.password, url(two, two.username, one.username))
  assert.notEqual(foreign.code, 0)
  assert.match(foreign.err, /auth failed/)
  assert.notEqual((await rsync(one.password, url(one, one.username, 'server'))).code, 0)
  const modules = await rsync('', `rsync://${one.host}:${one.port}/`)
  assert.equal(modules.out.trim(), '')
})

test('no path and no link leads out of an account', async () => {
  const mine = folder('escape', { 'x.txt': 'mine' })
  for (const target of ['/', '..', `../${two.username}`, havn.paths.home]) {
    rmSync(join(mine, 'out'), { force: true })
    symlinkSync(target, join(mine, 'out'))
    assert.equal((await send(one, mine)).code, 0)
    await rsync(one.password, '-rL', `${url(one, one.username)}out/`, `${at('leak')}/`)
    await rsync(one.password, '-r', '--copy-links', `${url(one, one.username)}out/server/secrets`, at('leak'))
    await rsync(one.password, '-r', '--keep-dirlinks', `${mine}/x.txt`, `${url(one, one.username)}out/`)
  }
  for (const path of [`../${two.username}/`, '../server/secrets', '../../credentials.json']) {
    await rsync(one.password, '-r', `${url(one, one.username)}${path}`, `${at('leak')}/`)
    await rsync(one.password, '-r', `${mine}/x.txt`, `${url(one, one.username)}${path}`)
    await rsync(one.password, '-r', `--link-dest=/${path}`, `${mine}/`, `${url(one, one.username)}copy/`)
  }
  for (const file of ['secrets', 'rsyncd.conf', 'credentials.json', 'processes.json', 'passwd']) {
    assert.ok(!existsSync(at(`leak/${file}`)), `${file} came out`)
  }
  assert.ok(!existsSync(stored(two, 'x.txt')))
  assert.ok(!existsSync(join(havn.paths.home, 'x.txt')))
  assert.ok(!existsSync(join(havn.paths.rsync, 'x.txt')))
})

test('a full account takes no more, but gives back and can be emptied', async () => {
  const large = folder('large', { 'large.bin': Buffer.alloc(2_000_000, 1) })
  assert.equal((await send(two, large)).code, 0)
  await eventually('the measurement', async () => ((await show('two')).usedBytes ?? 0) >= 2_000_000)
  await db.updateTable('rsync_account').set({ quota_bytes: 1_000_000 }).where('username', '=', two.username).execute()
  await eventually('the next measurement, after some use', async () => {
    await list(two)
    return existsSync(join(havn.paths.rsync, 'server/full', String(two.username)))
  })
  const refused = await send(two, folder('more', { 'more.txt': 'more' }))
  assert.notEqual(refused.code, 0)
  assert.match(refused.err + refused.out, /quota is used up/)
  assert.ok(!existsSync(stored(two, 'more.txt')))
  assert.equal((await fetchInto(two, at('large-back'))).code, 0)
  assert.equal(statSync(at('large-back/large.bin')).size, 2_000_000)
  for (const trick of [['--temp-dir', '--sender'], ['--existing'], ['--ignore-existing', '--backup']]) {
    assert.notEqual((await send(two, at('more'), ...trick)).code, 0, trick.join(' '))
  }
  const emptied = await send(two, folder('empty', {}), '--delete', '--existing', '--ignore-existing')
  assert.equal(emptied.code, 0, emptied.err)
  assert.ok(!existsSync(stored(two, 'large.bin')))
  await eventually('room again', async () => (await send(two, at('more'))).code === 0)
  assert.equal(readFileSync(stored(two, 'more.txt'), 'utf8'), 'more')
})

test('who sends while the account fills up is cut off', async () => {
  const endless = folder('endless', { 'huge.bin': Buffer.alloc(60_000_000, 3) })
  const cut = await send(two, endless, '--bwlimit=2M', '--inplace', '--whole-file')
  assert.notEqual(cut.code, 0)
  const huge = stored(two, 'huge.bin')
  assert.ok(!existsSync(huge) || statSync(huge).size < 60_000_000)
})

test('the server comes back when it dies', async () => {
  const before = havn.process('rsync')!
  assert.ok(signalProcess(before, 'SIGKILL'))
  await eventually('its successor', () => {
    const now = havn.process('rsync')
    return now !== undefined && now.pid !== before.pid
  })
  await eventually('its answer', async () => (await list(one)).code === 0)
})

test('off lets nobody in and cuts off who is in; on again finds files and password', async () => {
  await havn.run('backup rsync one off')
  await eventually('the door to close', async () => (await list(one)).code !== 0)
  assert.equal((await havn.run('backup rsync one')).code, 3)
  assert.equal((await havn.run('backup rsync one off')).code, 0)
  const again = await havn.json<Account>('backup rsync one on')
  assert.deepEqual([again.username, again.password], [one.username, one.password])
  await eventually('the door to open', async () => (await list(one)).code === 0)
  assert.match((await list(one)).out, /a\.txt/)
})

test('files and account go with the purge of the instance', async () => {
  const { id } = await havn.json<{ id: string }>('instance show one')
  assert.equal((await havn.run('instance delete one --wait')).code, 0)
  await eventually('the files to go', () => !existsSync(stored(one)))
  await eventually('the row to go', async () => {
    const rows = await db
      .selectFrom('rsync_account')
      .select('username')
      .where('instance_id', '=', id as never)
      .execute()
    return rows.length === 0
  })
  assert.notEqual((await list(one)).code, 0)
  assert.equal((await list(two)).code, 0)
})

test('down ends it, and a supervisor that is killed takes it along', async () => {
  const refused = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(two.port, two.host)
      socket.on('error', () => resolve(true))
      socket.on('connect', () => {
        socket.destroy()
        resolve(false)
      })
    })
  const server = havn.process('rsync')!
  assert.ok(signalProcess(havn.process('havn')!, 'SIGKILL'))
  await eventually('its end', () => !isAlive(server))
  const started = await havn.run('up --detach --empty')
  assert.equal(started.code, 0, started.out + started.err)
  await eventually('its answer', async () => (await list(two)).code === 0)
  assert.equal((await havn.run('down')).code, 0)
  assert.equal(await refused(), true)
})
