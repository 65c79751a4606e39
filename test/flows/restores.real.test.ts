/**
 * A real machine's backup brought back: in place, into a new instance, and into the machine that proves it, with
 * processes killed on the way. The tests stand on each other in this order and share the first boot.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Instance } from '../../src/dialects/native/contract/instances.ts'
import { readJson } from '../../src/lib/files.ts'
import { identityOf } from '../../src/lib/process-identity.ts'
import * as backups from '../../src/services/backups/backups.ts'
import * as receipts from '../../src/services/backups/receipts.ts'
import * as restores from '../../src/services/backups/restores.ts'
import type { Ctx } from '../../src/services/ctx.ts'
import * as instances from '../../src/services/instances.ts'
import * as operations from '../../src/services/operations.ts'
import { eventually } from '../eventually.ts'
import type { Havn } from '../havn.ts'
import { type MachineCloud, startMachineCloud } from '../machine-cloud.ts'

const WORK_MS = 600_000 // on a busy machine without KVM

describe('restores of a real machine', () => {
  let cloud: MachineCloud
  let havn: Havn
  let ctx: Ctx
  let inside: MachineCloud['inside']
  let backup: backups.Backup
  let digest: string

  before(async () => {
    cloud = await startMachineCloud()
    ;({ havn, ctx, inside } = cloud)
  })
  after(() => cloud?.close())

  const digestIn = async (name: string) => (await inside(name, 'sha256sum /root/data')).split(' ')[0]!
  const ends = (operation: { id: string }) =>
    eventually(
      'it ends',
      async () => {
        const { state, message } = await operations.get(ctx, operation.id)
        if (state === 'failed') assert.fail(message ?? 'it failed')
        return state === 'succeeded'
      },
      WORK_MS,
    )
  const tasks = () => readdirSync(havn.paths.tasks)
  const killWorker = () => process.kill(havn.process('worker')!.pid, 'SIGKILL')
  const leftovers = async () =>
    (await havn.driver().resources()).filter(({ name }) => /prepared|disk-check|screen\.png/.test(name))
  async function isClear(machines: number): Promise<void> {
    await eventually('no task is left', () => tasks().length === 0, WORK_MS)
    await eventually('no machine is left', async () => (await havn.driver().list()).size === machines, WORK_MS)
    assert.deepEqual(await leftovers(), [])
  }

  test('known bytes are backed up while the guest writes', { timeout: WORK_MS }, async () => {
    await inside('first', 'dd if=/dev/urandom of=/root/data bs=1M count=20 2>/dev/null; sync')
    digest = await digestIn('first')
    await inside('first', '(while :; do date >> /root/busy; sync; sleep 0.2; done) >/dev/null 2>&1 & echo begun')
    const made = await backups.create(ctx, 'first')
    await ends(made.operation)
    backup = await backups.get(ctx, made.backup.id)
    await inside('first', 'dd if=/dev/urandom of=/root/data bs=1M count=20 2>/dev/null; sync')
    assert.notEqual(await digestIn('first'), digest)
  })

  test('in place, with the worker killed on the way: the bytes of then', { timeout: WORK_MS }, async () => {
    assert.equal((await havn.run('instance stop first --wait')).code, 0)
    const { operation } = await restores.restore(ctx, 'first', backup.id)
    await eventually('its task is at work', () => tasks().length > 0)
    killWorker()
    await ends(operation)
    assert.equal((await instances.get(ctx, 'first')).state, 'stopped')
    await isClear(1)
    assert.equal((await havn.run('instance start first --wait')).code, 0)
    assert.equal(await digestIn('first'), digest)
    assert.equal((await havn.run('instance stop first --wait')).code, 0)
  })

  test('proved: restored, booted, looked at and checked, though its QEMU is killed', {
    timeout: WORK_MS,
  }, async (t) => {
    const { receipt, operation } = await receipts.verify(ctx, backup.id)
    const { machine_id: machine } = await ctx.db
      .selectFrom('receipt')
      .select('machine_id')
      .where('id', '=', receipt.id)
      .executeTakeFirstOrThrow()
    const notes = join(havn.paths.instances, machine, 'instance.json')
    const pid = await eventually(
      'its machine runs',
      async () => (await readJson<{ process: { pid: number } | null }>(notes).catch(() => null))?.process?.pid,
      WORK_MS,
    )
    if (identityOf(pid)) process.kill(pid, 'SIGKILL')
    await ends(operation)
    const { state, stateReason, checks, serialTail, restoreMs, bootMs, restoredBytes } = await receipts.get(
      ctx,
      receipt.id,
    )
    t.diagnostic(`${restoredBytes} bytes in ${restoreMs} ms, boot ${bootMs} ms; ${JSON.stringify(checks)}`)
    assert.equal(state, 'passed', stateReason ?? '')
    const outcomes = new Map(checks.map(({ name, outcome }) => [name, outcome]))
    for (const name of ['digests', 'image', 'boot', 'filesystem'] as const) assert.equal(outcomes.get(name), 'passed')
    assert.match(serialTail ?? '', /micro: (first boot|ready)|login:/)
    assert.equal((await receipts.screenshot(ctx, receipt.id)).toString('latin1', 1, 4), 'PNG')
    assert.equal((await backups.get(ctx, backup.id)).receipt?.isFresh, true)
    await isClear(1)
  })

  test('to a new instance, which boots with a name of its own', { timeout: WORK_MS }, async () => {
    const { operation } = await instances.create(ctx, { backupId: backup.shortId, name: 'second' })
    await ends(operation)
    const second = await havn.json<Instance>('instance show second')
    assert.equal(second.state, 'running')
    assert.equal(await digestIn('second'), digest)
    assert.equal(await inside('second', 'hostname'), 'second')
    await isClear(2)
  })
})
