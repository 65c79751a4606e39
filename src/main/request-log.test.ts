import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Fastify from 'fastify'
import { requestLog } from './request-log.ts'

test('requests go to the file, and what is wrong is said aloud with its request id', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'havn-log-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const said: string[] = []
  const { logger, flush } = requestLog(folder, (line) => said.push(line))
  const app = Fastify({ logger })
  app.log.info({ status: 200 })
  app.log.error({ err: new Error('outer'), chain: 'outer: inner', requestId: 'r-1' }, 'bug')
  flush()
  await app.close()
  const entries = readFileSync(join(folder, 'requests.log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    entries.map(({ level }) => level),
    [30, 50],
  )
  assert.match(entries[1].err.stack, /outer/)
  assert.match(entries[0].time, /^\d{4}-.*Z$/)
  assert.deepEqual(said, ['bug: outer: inner (request r-1)'])
})
