/** Stories of restores and receipts: in place, into a new instance, proved or not, with everything going wrong on the way. */
import assert from 'node:assert/strict'
import { sql } from 'kysely'
import type { BackupId, InstanceId } from '../../src/model/ids.ts'
import * as backups from '../../src/services/backups/backups.ts'
import * as receipts from '../../src/services/backups/receipts.ts'
import * as restores from '../../src/services/backups/restores.ts'
import * as incidents from '../../src/services/incidents.ts'
import * as instances from '../../src/services/instances.ts'
import * as snapshots from '../../src/services/snapshots.ts'
import { createStopped, forgetOperations, isIdle, reaches, type Story, strandEnds } from './story.ts'
import type { World } from './world.ts'

/** A stopped instance with a backup, and on its disk something that came after. */
async function withBackup(world: World): Promise<{ id: InstanceId; backup: BackupId }> {
  const id = await createStopped(world)
  world.tasks.endWith('done')
  const { backup } = await backups.create(world.ctx, id)
  await reaches(world, backup.id, 'completed')
  world.simulator.write(id, 'after')
  await forgetOperations(world.db)
  return { id, backup: backup.id }
}
/** Only the backup is left of its instance, so the steps of this story are those of what is made from it. */
async function onlyBackup(world: World): Promise<BackupId> {
  const { id, backup } = await withBackup(world)
  await instances.remove(world.ctx, id, { purge: true })
  await strandEnds(world, id)
  await forgetOperations(world.db)
  world.visited.length = 0
  return backup
}
const holds = (world: World, id: InstanceId, text: string) => assert.equal(world.simulator.read(id), text)

async function verify(world: World, holding: string): Promise<BackupId> {
  const backup = await onlyBackup(world)
  world.tasks.restoring(holding)
  const { receipt } = await receipts.verify(world.ctx, backup)
  await strandEnds(world, receipt.id)
  world.tasks.endWith('done')
  return backup
}
async function receiptOf(world: World, backup: BackupId) {
  const { items } = await receipts.list(world.ctx, backup)
  assert.equal(items.length, 1)
  return items[0]!
}
/** An operator has seen it, which wakes the backup's own strand for a moment. */
async function closeIncident(world: World, backup: BackupId): Promise<void> {
  const { items } = await incidents.list(world.ctx, { openOnly: true, limit: 9, offset: 0 })
  assert.equal(items.length, 1)
  assert.match(items[0]!.message, /did not prove itself/)
  await incidents.recover(world.ctx, items[0]!.id)
  await world.until('the backup rests again', async () => {
    const { rows } = await sql`SELECT 1 FROM strand
      WHERE id = ${backup} AND (wake_at <= cloud_now() OR leased_by IS NOT NULL)`.execute(world.db)
    return rows.length === 0
  })
}

export const RESTORE_STORIES: readonly Story[] = [
  {
    name: 'restore in place',
    ends: 'stopped',
    operations: { 'instance.restore': 'succeeded' },
    async tell(world) {
      const { id, backup } = await withBackup(world)
      await snapshots.create(world.ctx, id, {
        name: 'old',
        withMemory: false,
        needs: 'any',
        uniqueName: true,
        max: null,
      })
      await isIdle(world, id)
      await forgetOperations(world.db)
      world.tasks.restoring('before')
      await restores.restore(world.ctx, id, backup)
      await assert.rejects(instances.start(world.ctx, id), { code: 'conflict' })
      await isIdle(world, id)
      holds(world, id, 'before')
      assert.deepEqual((await snapshots.list(world.ctx, id)).items, [])
      assert.deepEqual(await world.simulator.listSnapshots(id), [])
      return id
    },
  },
  {
    name: 'a restore whose task dies, with the store away for a while',
    ends: 'stopped',
    operations: { 'instance.restore': 'succeeded' },
    async tell(world) {
      const { id, backup } = await withBackup(world)
      for (const end of ['vanished once', 'away twice'] as const) {
        await forgetOperations(world.db)
        world.tasks.endWith(end)
        world.tasks.restoring(end)
        await restores.restore(world.ctx, id, backup)
        await isIdle(world, id)
        holds(world, id, end)
      }
      world.tasks.endWith('done')
      return id
    },
  },
  {
    name: 'a restore that fails leaves the old disk',
    ends: 'stopped',
    operations: { 'instance.restore': 'failed' },
    async tell(world) {
      const { id, backup } = await withBackup(world)
      world.tasks.endWith('failed')
      await restores.restore(world.ctx, id, backup)
      await isIdle(world, id)
      world.tasks.endWith('done')
      holds(world, id, 'after')
      return id
    },
  },
  {
    name: 'the backup is deleted while it is restored',
    ends: 'stopped',
    operations: { 'instance.restore': 'failed' },
    async tell(world) {
      const { id, backup } = await withBackup(world)
      world.tasks.endWith('away twice')
      await restores.restore(world.ctx, id, backup)
      await backups.remove(world.ctx, backup)
      await isIdle(world, id)
      world.tasks.endWith('done')
      holds(world, id, 'after')
      await strandEnds(world, backup)
      return id
    },
  },
  {
    name: 'delete while it is restored',
    ends: 'deleted',
    operations: { 'instance.restore': 'cancelled', 'instance.delete': 'succeeded' },
    interrupted: 'restore',
    async tell(world) {
      const { id, backup } = await withBackup(world)
      world.tasks.endWith('never')
      await restores.restore(world.ctx, id, backup)
      await world.until('it is being restored', async () => world.tasks.left().length > 0)
      await instances.remove(world.ctx, id, { purge: true })
      await strandEnds(world, id)
      world.tasks.endWith('done')
      return id
    },
  },
  {
    name: 'a new instance from the backup of one that is gone',
    ends: 'running',
    operations: { 'instance.create': 'succeeded' },
    async tell(world) {
      const backup = await onlyBackup(world)
      world.tasks.restoring('before')
      const { instance } = await instances.create(world.ctx, { backupId: backup, hostname: 'again.example.net' })
      await reaches(world, instance.id, 'running')
      holds(world, instance.id, 'before')
      return instance.id
    },
  },
  {
    name: 'a new instance whose backup turns out damaged, until it is started again',
    ends: 'running',
    operations: { 'instance.create': 'failed', 'instance.start': 'succeeded' },
    async tell(world) {
      const backup = await onlyBackup(world)
      world.tasks.endWith('failed')
      const { instance } = await instances.create(world.ctx, { backupId: backup })
      await reaches(world, instance.id, 'failed')
      assert.equal((await world.simulator.observe(instance.id)).power, 'absent')
      world.tasks.endWith('done')
      world.tasks.restoring('before')
      await instances.start(world.ctx, instance.id)
      await reaches(world, instance.id, 'running')
      holds(world, instance.id, 'before')
      return instance.id
    },
  },
  {
    name: 'a backup proves itself',
    ends: 'completed',
    operations: { 'backup.verify': 'succeeded' },
    async tell(world) {
      const backup = await verify(world, 'before\n!agent')
      const receipt = await receiptOf(world, backup)
      assert.equal(receipt.state, 'passed', receipt.stateReason ?? '')
      assert.deepEqual(
        receipt.checks.map(({ name, outcome }) => `${name} ${outcome}`),
        ['digests passed', 'image passed', 'boot passed', 'agent passed', 'filesystem passed'],
      )
      assert.ok(receipt.restoredBytes !== null && receipt.restoreMs !== null && receipt.bootMs !== null)
      assert.equal(receipt.hasScreenshot, true)
      return backup
    },
  },
  {
    name: 'a backup that boots into a panic',
    ends: 'completed',
    operations: { 'backup.verify': 'failed' },
    async tell(world) {
      const backup = await verify(world, '!panic')
      const receipt = await receiptOf(world, backup)
      assert.equal(receipt.state, 'failed')
      assert.match(receipt.stateReason ?? '', /Kernel panic/)
      assert.match(receipt.serialTail ?? '', /Kernel panic/)
      await closeIncident(world, backup)
      return backup
    },
  },
  {
    name: 'a backup with a damaged file system; then one that is whole again',
    ends: 'completed',
    operations: { 'backup.verify': 'succeeded' },
    async tell(world) {
      const backup = await verify(world, '!damaged')
      assert.equal((await receiptOf(world, backup)).state, 'failed')
      await forgetOperations(world.db)
      world.tasks.restoring('before')
      const { receipt } = await receipts.verify(world.ctx, backup)
      await strandEnds(world, receipt.id)
      assert.equal((await receipts.get(world.ctx, receipt.id)).state, 'passed')
      return backup
    },
  },
  {
    name: 'a backup whose bytes cannot be restored',
    ends: 'completed',
    operations: { 'backup.verify': 'failed' },
    async tell(world) {
      const backup = await onlyBackup(world)
      world.tasks.endWith('failed')
      const { receipt } = await receipts.verify(world.ctx, backup)
      await strandEnds(world, receipt.id)
      world.tasks.endWith('done')
      assert.deepEqual(
        (await receiptOf(world, backup)).checks.map(({ name, outcome }) => `${name} ${outcome}`),
        ['digests failed'],
      )
      await closeIncident(world, backup)
      return backup
    },
  },
  {
    name: 'the machine that proves a backup dies and is booted again',
    ends: 'completed',
    operations: { 'backup.verify': 'succeeded' },
    async tell(world) {
      const backup = await onlyBackup(world)
      world.tasks.restoring('!silent')
      const { receipt } = await receipts.verify(world.ctx, backup)
      await world.until('its machine boots', async () => world.visited.includes('watch'))
      const { machine_id: machine } = await world.db
        .selectFrom('receipt')
        .select('machine_id')
        .where('id', '=', receipt.id)
        .executeTakeFirstOrThrow()
      world.simulator.crash(machine)
      await world.until(
        'it was booted again',
        async () => world.visited.lastIndexOf('boot') > world.visited.indexOf('watch'),
      )
      world.simulator.write(machine, 'before')
      await strandEnds(world, receipt.id)
      assert.equal((await receipts.get(world.ctx, receipt.id)).state, 'passed')
      return backup
    },
  },
  {
    name: 'a backup is deleted while it is to be proved',
    ends: 'deleted',
    operations: { 'backup.verify': 'cancelled' },
    async tell(world) {
      const backup = await onlyBackup(world)
      world.tasks.endWith('away twice')
      const { receipt } = await receipts.verify(world.ctx, backup)
      await backups.remove(world.ctx, backup)
      await strandEnds(world, receipt.id)
      await strandEnds(world, backup)
      world.tasks.endWith('done')
      return backup
    },
  },
]
