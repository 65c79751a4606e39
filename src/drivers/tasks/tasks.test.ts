import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { writeFileAtomically } from '../../lib/files.ts'
import { identityOf, type ProcessIdentity, sessionMembers } from '../../lib/process-identity.ts'
import { waitFor } from '../../lib/wait.ts'
import { CloudError } from '../../model/errors.ts'
import { explain, lastClaim } from './child.ts'
import { createTasks, type TaskStatus, type Tasks } from './tasks.ts'

/** A program that notes each start, starts a child of its own, and ends when the file `go` appears. */
const ENTRY = `
import { spawn } from 'node:child_process'
import { appendFile, access, readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { CloudError } from '${import.meta.dirname}/../../model/errors.ts'
import { runTask } from '${import.meta.dirname}/child.ts'
const work = async ({ base }, { work, kept }, report) => {
  await appendFile(base + '/starts', 'x')
  await appendFile(kept + '/kept', 'x')
  await appendFile(work + '/temporary', 'x')
  spawn('sleep', ['1000'], { stdio: 'ignore' }).unref()
  report(40, 'half way')
  while (!(await access(base + '/go').then(() => true, () => false))) await setTimeout(20)
  const word = await readFile(base + '/go', 'utf8')
  if (word === 'full') throw new Error('tar failed (2): a: Cannot write: No space left on device')
  if (word === 'fail') throw new CloudError('invalid', 'not good')
  return { word, kept: await readFile(kept + '/kept', 'utf8'), temporary: await readFile(work + '/temporary', 'utf8') }
}
await runTask(process.argv[2], { 'image-build': work })
`

interface Place {
  base: string
  folder: string
  entry: string
  tasks: Tasks
  go(word: string): Promise<void>
  starts(): Promise<number>
}

async function place(t: TestContext): Promise<Place> {
  const base = await mkdtemp(join(tmpdir(), 'tasks-'))
  const folder = join(base, 'tasks')
  const entry = join(base, 'entry.mjs')
  await writeFile(entry, ENTRY)
  const tasks = createTasks({ folder, entry })
  t.after(async () => {
    for (const id of await tasks.list()) await tasks.remove(id)
    await rm(base, { recursive: true })
  })
  return {
    base,
    folder,
    entry,
    tasks,
    go: (word) => writeFileAtomically(join(base, 'go'), word),
    starts: () =>
      readFile(join(base, 'starts'), 'utf8').then(
        (text) => text.length,
        () => 0,
      ),
  }
}

async function reach(tasks: Tasks, id: string, wanted: (status: TaskStatus) => boolean): Promise<TaskStatus> {
  const reached = await waitFor(
    async () => {
      const status = await tasks.read(id)
      return wanted(status) && status
    },
    { timeoutMs: 20_000 },
  )
  assert.ok(reached, `the task stays at ${JSON.stringify(await tasks.read(id))}`)
  return reached
}

async function leader({ folder }: Place, id: string): Promise<ProcessIdentity> {
  const { identity } = await lastClaim(join(folder, id))
  assert.ok(identity)
  return identity
}

test('a task runs detached, tells how far it is, and leaves its result', async (t) => {
  const at = await place(t)
  assert.equal((await at.tasks.read('a')).state, 'absent')
  await at.tasks.ensureStarted('a', 'image-build', { base: at.base })
  const half = await reach(at.tasks, 'a', (status) => status.percent === 40)
  assert.deepEqual(half, { state: 'running', percent: 40, message: 'half way' })
  const { pid } = await leader(at, 'a')
  assert.ok(sessionMembers(pid).includes(pid), 'it leads a session of its own')
  await at.go('fine')
  const done = await reach(at.tasks, 'a', (status) => status.state !== 'running')
  assert.equal(done.state, 'done')
  assert.deepEqual(done.value, { word: 'fine', kept: 'x', temporary: 'x' })
  await at.tasks.ensureStarted('a', 'image-build', { base: at.base })
  assert.equal(await at.starts(), 1, 'what is done is not done again')
  await at.tasks.remove('a')
  assert.deepEqual(await at.tasks.list(), [])
  assert.equal((await at.tasks.read('a')).state, 'absent')
  assert.deepEqual(sessionMembers(pid), [])
})

test('an error keeps its code', async (t) => {
  const at = await place(t)
  await at.go('fail')
  await at.tasks.ensureStarted('a', 'image-build', { base: at.base })
  const status = await reach(at.tasks, 'a', ({ state }) => state !== 'running')
  assert.deepEqual([status.state, status.error], ['failed', { code: 'invalid', message: 'not good' }])
})

test('a full disk is said in words that name it', async (t) => {
  const at = await place(t)
  await at.go('full')
  await at.tasks.ensureStarted('a', 'image-build', { base: at.base })
  const { error } = await reach(at.tasks, 'a', ({ state }) => state !== 'running')
  assert.equal(error?.message, `the disk under ${join(at.folder, 'a')} is full: free some space, then try again`)
})

test('a program that does not exist is a failure, not a loop', async (t) => {
  const at = await place(t)
  await at.tasks.ensureStarted('a', 'image-import', {})
  const status = await reach(at.tasks, 'a', ({ state }) => state !== 'running')
  assert.equal(status.error?.code, 'invalid')
})

test('started many times at once, also by processes that know nothing of each other, it runs once', async (t) => {
  const at = await place(t)
  const others = Array.from({ length: 3 }, () => createTasks({ folder: at.folder, entry: at.entry }))
  await Promise.all([at.tasks, ...others].map((tasks) => tasks.ensureStarted('a', 'image-build', { base: at.base })))
  await reach(at.tasks, 'a', (status) => status.percent === 40)
  await at.go('fine')
  await reach(at.tasks, 'a', ({ state }) => state === 'done')
  assert.equal(await at.starts(), 1)
  assert.equal((await lastClaim(join(at.folder, 'a'))).number, 1)
})

test('killed, it has vanished with nothing said; started again, it cleans up behind itself and finishes', async (t) => {
  const at = await place(t)
  await at.tasks.ensureStarted('a', 'image-build', { base: at.base })
  await reach(at.tasks, 'a', (status) => status.percent === 40)
  const { pid } = await leader(at, 'a')
  process.kill(pid, 'SIGKILL')
  await reach(at.tasks, 'a', ({ state }) => state === 'vanished')
  assert.ok(sessionMembers(pid).length > 0, 'the program it had started goes on')
  await at.tasks.ensureStarted('a', 'image-build', { base: at.base })
  assert.deepEqual(sessionMembers(pid), [])
  await at.go('fine')
  const done = await reach(at.tasks, 'a', ({ state }) => state === 'done')
  assert.deepEqual(done.value, { word: 'fine', kept: 'xx', temporary: 'x' }, 'temporary files are of one run')
})

test('it outlives the process that started it, and another finds it by name', async (t) => {
  const at = await place(t)
  const parentFile = join(at.base, 'parent.mjs')
  await writeFile(
    parentFile,
    `import { createTasks } from '${import.meta.dirname}/tasks.ts'
await createTasks(${JSON.stringify({ folder: at.folder, entry: at.entry })}).ensureStarted('a', 'image-build', ${JSON.stringify({ base: at.base })})
setInterval(() => {}, 1000)`,
  )
  const parent = spawn(process.execPath, [parentFile], { stdio: 'inherit' })
  await reach(at.tasks, 'a', (status) => status.percent === 40)
  parent.kill('SIGKILL')
  assert.ok(await waitFor(() => parent.pid !== undefined && identityOf(parent.pid) === null, { timeoutMs: 5_000 }))
  assert.equal((await at.tasks.read('a')).state, 'running')
  await at.tasks.ensureStarted('a', 'image-build', { base: at.base })
  await at.go('fine')
  await reach(at.tasks, 'a', ({ state }) => state === 'done')
  assert.equal(await at.starts(), 1)
})

test('a starter that dies before its child has claimed the task leaves it to whoever comes first', async (t) => {
  const at = await place(t)
  // Only the note is there and two children were started, as after a crash between two steps.
  await at.tasks.ensureStarted('a', 'image-build', { base: at.base })
  await at.tasks.cancel('a')
  const children = [0, 1].map(() => spawn(process.execPath, [at.entry, join(at.folder, 'a')], { stdio: 'inherit' }))
  await Promise.race(children.map((child) => new Promise((resolve) => child.on('exit', resolve))))
  await at.go('fine')
  await reach(at.tasks, 'a', ({ state }) => state === 'done')
  assert.equal((await lastClaim(join(at.folder, 'a'))).number, 2)
  for (const child of children) child.kill('SIGKILL')
})

test('cancelled, none of its processes is left, and twice is once', async (t) => {
  const at = await place(t)
  await at.tasks.ensureStarted('a', 'image-build', { base: at.base })
  await reach(at.tasks, 'a', (status) => status.percent === 40)
  const { pid } = await leader(at, 'a')
  assert.ok(sessionMembers(pid).length >= 2)
  await at.tasks.cancel('a')
  await at.tasks.cancel('a')
  assert.deepEqual(sessionMembers(pid), [])
  assert.equal((await at.tasks.read('a')).state, 'vanished')
  assert.ok((await readdir(join(at.folder, 'a'))).includes('input.json'))
})

test('a name cannot lead out of the folder', async (t) => {
  const at = await place(t)
  await assert.rejects(at.tasks.read('../x'), { code: 'invalid' })
  await assert.rejects(at.tasks.remove('..'), { code: 'invalid' })
})

test('what a task says is for customers: the chain of reasons, but no files of the host', () => {
  const open = Object.assign(new Error("ENOENT: no such file or directory, open '/srv/x'"), { path: '/srv/x' })
  const away = new CloudError('unavailable', 'the disk of the object store failed (ENOENT)', { cause: open })
  const blob = { id: '00', kind: 'missing' } as const
  const damaged = new CloudError('conflict', 'chunk 3 is damaged', { cause: away, blob })
  const message = 'chunk 3 is damaged: the disk of the object store failed (ENOENT)'
  assert.deepEqual(explain(damaged, '/srv/task'), { code: 'conflict', message, blob })
  const refused = Object.assign(new Error('connect ECONNREFUSED 192.0.2.1:80'), { syscall: 'connect' })
  const unreachable = new CloudError('unavailable', 'cannot fetch it', { cause: refused })
  assert.equal(explain(unreachable, '/srv/task').message, 'cannot fetch it: connect ECONNREFUSED 192.0.2.1:80')
})
