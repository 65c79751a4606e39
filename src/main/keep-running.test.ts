import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAlive, type ProcessIdentity, signalProcess } from '../lib/process-identity.ts'
import { waitFor } from '../lib/wait.ts'
import { keepRunning, pauseMs } from './keep-running.ts'

const LIMIT = { timeoutMs: 20_000 }
const PATIENT = `process.on('message', (m) => console.log('told ' + m)); process.on('disconnect', () => process.exit())`

function watch() {
  const seen = { started: [] as ProcessIdentity[], printed: [] as string[], said: [] as string[] }
  const hooks = {
    started: (identity: ProcessIdentity) => void seen.started.push(identity),
    printed: (line: string) => void seen.printed.push(line),
    say: (line: string) => void seen.said.push(line),
  }
  return { seen, hooks }
}

test('a child that dies is started again, and told to go again', async () => {
  const { seen, hooks } = watch()
  const kept = keepRunning({ name: 'stub', args: ['-e', PATIENT], env: process.env }, hooks)
  kept.go()
  await waitFor(() => seen.printed.length === 1, LIMIT)
  signalProcess(seen.started[0]!, 'SIGKILL')
  await waitFor(() => seen.printed.length === 2, LIMIT)
  assert.deepEqual(seen.printed, ['told go', 'told go'])
  assert.deepEqual(seen.said, ['ended by SIGKILL; starting it again in 0.1 s'])
  await kept.stop()
  assert.equal(seen.started.length, 2)
  assert.equal(seen.started.some(isAlive), false)
})

test('it stops for good while it waits for the next start', async () => {
  const { seen, hooks } = watch()
  const kept = keepRunning({ name: 'stub', args: ['-e', 'process.exit(3)'], env: process.env }, hooks)
  await waitFor(() => seen.said.length > 0, LIMIT)
  assert.match(seen.said[0]!, /^ended with exit code 3/)
  await kept.stop()
  const count = seen.started.length
  assert.equal(seen.started.some(isAlive), false)
  assert.equal(seen.started.length, count)
})

test('pauses grow to a limit', () => {
  assert.deepEqual([0, 1, 2, 5, 6, 60].map(pauseMs), [100, 200, 400, 3200, 5000, 5000])
})
