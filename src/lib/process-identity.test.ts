import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { identityOf, isAlive, processLink, signalProcess } from './process-identity.ts'

test('a living process is itself, and nobody else', () => {
  const me = identityOf(process.pid)
  assert.ok(me && isAlive(me))
  assert.equal(isAlive({ ...me, startTime: String(Number(me.startTime) - 1) }), false)
  assert.equal(isAlive({ ...me, bootId: 'another boot' }), false)
  assert.equal(processLink(process.pid, 'cwd'), process.cwd())
})

test('what is no process has no identity', () => {
  for (const pid of [0, -1, Number.NaN, 1.5, 2 ** 31]) assert.equal(identityOf(pid), null)
})

test('a signal reaches only the process that was meant', async () => {
  const child = spawn('sleep', ['60'])
  const identity = identityOf(child.pid!)!
  assert.equal(signalProcess({ ...identity, startTime: '1' }, 'SIGKILL'), false)
  assert.ok(isAlive(identity))
  assert.equal(signalProcess(identity, 'SIGKILL'), true)
  await once(child, 'exit')
  assert.equal(isAlive(identity), false)
  assert.equal(signalProcess(identity, 'SIGKILL'), false)
})
