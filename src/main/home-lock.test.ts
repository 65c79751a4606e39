import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathsOf } from '../lib/paths.ts'
import { findHolder, lockHome } from './home-lock.ts'

function home(t: { after(fn: () => void): void }) {
  const folder = mkdtempSync(join(tmpdir(), 'havn-lock-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return pathsOf(folder)
}

test('the second is told who holds it and since when', async (t) => {
  const paths = home(t)
  const lock = await lockHome(paths)
  const holder = findHolder(paths)
  assert.equal(holder?.pid, process.pid)
  await assert.rejects(lockHome(paths), {
    code: 'conflict',
    message: `Havn already runs on ${paths.home}: process ${process.pid}, since ${holder?.since}. Stop it with: ./havn down`,
  })
  lock.release()
  assert.equal(findHolder(paths), null)
  ;(await lockHome(paths)).release()
})

test('two homes do not meet', async (t) => {
  const [one, two] = [await lockHome(home(t)), await lockHome(home(t))]
  one.release()
  two.release()
})

test('a killed holder leaves no lock', async (t) => {
  const paths = home(t)
  const module = join(import.meta.dirname, 'home-lock.ts')
  const script = `
    const { lockHome } = await import(${JSON.stringify(module)})
    await lockHome(${JSON.stringify(paths)})
    console.log('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  await assert.rejects(lockHome(paths), { code: 'conflict' })
  child.kill('SIGKILL')
  await once(child, 'exit')
  ;(await lockHome(paths)).release()
})

test('a note that is no note is no holder', (t) => {
  const paths = home(t)
  writeFileSync(paths.lock, '{"pid":')
  assert.equal(findHolder(paths), null)
})
