/**
 * What is done while somebody is killed: each story begins one piece of work, names the places that it comes through,
 * and says whether it came to the end that its caller was promised.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import type { BackupAccepted } from '../../../src/dialects/native/contract/backups.ts'
import type { Instance, InstanceAccepted } from '../../../src/dialects/native/contract/instances.ts'
import type { Operation } from '../../../src/dialects/native/contract/operations.ts'
import type { ReceiptAccepted } from '../../../src/dialects/native/contract/receipts.ts'
import { removeStoredMarks } from '../../../src/drivers/compute/qemu/exports/marks.ts'
import { filesOf } from '../../../src/drivers/compute/qemu/record.ts'
import { sweepBackups } from '../../../src/jobs/backup/sweep.ts'
import { signalProcess } from '../../../src/lib/process-identity.ts'
import type { BackupId, InstanceId, ReceiptId } from '../../../src/model/ids.ts'
import { eventually } from '../../eventually.ts'
import { type KillCloud, WORK_MS } from './cloud.ts'
import type { Place } from './gate.ts'
import type { Target, Victim } from './victims.ts'

/** `spreadMs`: how long the step lasts, more or less: in it lies the moment. `victims`: whoever takes part there. */
export interface StoryPlace extends Place {
  spreadMs: number
  victims: readonly Victim[]
}

export interface Run extends Target {
  /** Null when nobody is told how it ends. */
  operationId: string | null
  strandId: string
}

export interface Story {
  name: string
  /** How the machine is when it begins. */
  needs: 'running' | 'stopped'
  places: readonly StoryPlace[]
  prepare(): Promise<void>
  begin(): Promise<Run>
  /** Must hold at every moment, whoever has just been killed. */
  holds(): Promise<void>
  /** Nobody will come to a place of it any more. */
  isOver(run: Run): Promise<boolean>
  /** Throws unless it came to its promised end; cleans up what the next story does not expect. */
  ends(run: Run): Promise<void>
}

interface Known {
  id: BackupId
  digest: string
}

const FILE = '/root/known'
const PLANE = ['worker', 'api', 'supervisor', 'database'] as const
const at = (kind: string, step: string, spreadMs: number, ...more: Victim[]): StoryPlace => ({
  kind,
  step,
  spreadMs,
  victims: [...PLANE, ...more],
})

export function storiesOf(cloud: KillCloud): {
  stories: readonly Story[]
  prepareMachine(needs: Story['needs']): Promise<void>
} {
  const { context, machineId, ask, havn } = cloud
  const { db } = context
  const disk = filesOf(havn.paths, machineId).disk(1)
  /** Completed, the newest last. */
  const kept: Known[] = []
  let onDisk = ''

  const operation = (id: string) => ask<Operation>('GET', `/operations/${id}`)
  async function isDone(id: string): Promise<void> {
    const { state, message } = await eventually(
      `operation ${id} ends`,
      async () => {
        const it = await operation(id)
        return it.state !== 'pending' && it.state !== 'running' && it
      },
      WORK_MS,
    )
    assert.equal(state, 'succeeded', message ?? '')
  }
  const strandIsGone = (id: string) =>
    eventually(`strand ${id} ends`, async () => (await stepOf(cloud, id)) === 'gone', WORK_MS)
  const isOutOfTheWay = (id: string) =>
    eventually(`${id} is out of the way`, async () => (await stepOf(cloud, id)) === 'kept', WORK_MS)

  async function writeAnew(): Promise<void> {
    const command = `dd if=/dev/urandom of=${FILE} bs=1M count=6 2>/dev/null; sync; sha256sum ${FILE}`
    // It may have been started a moment ago.
    const said = await eventually('it answers', () => cloud.inside('first', command).catch(() => null), WORK_MS)
    onDisk = said.split(' ')[0]!
  }
  async function beginBackup(): Promise<Run> {
    const { backup, operation } = await ask<BackupAccepted>('POST', `/instances/${machineId}/backups`)
    return { strandId: backup.id, operationId: operation.id, machineId, taskId: backup.id }
  }
  async function backUp(): Promise<Known> {
    await prepareMachine('running')
    await writeAnew()
    const { strandId, operationId } = await beginBackup()
    await isDone(operationId!)
    await isOutOfTheWay(strandId)
    return { id: strandId as BackupId, digest: onDisk }
  }
  async function isWhole({ strandId }: Run): Promise<void> {
    const id = strandId as BackupId
    assert.equal(await cloud.digestInBackup(id, FILE), onDisk, 'the backup shows other bytes')
    kept.push({ id, digest: onDisk })
  }
  async function prepareMachine(needs: Story['needs']): Promise<void> {
    // A machine that is killed again and again is left alone after the fifth time.
    await db.updateTable('instance').set({ crash_count: 0 }).execute()
    const { state } = await ask<Instance>('GET', `/instances/${machineId}`)
    if (state === needs) return
    const { operation } = await ask<InstanceAccepted>(
      'POST',
      `/instances/${machineId}/${needs === 'running' ? 'start' : 'stop'}`,
    )
    await isDone(operation.id)
  }

  const nothing = async () => {}
  const stands =
    (...steps: string[]) =>
    async ({ strandId }: Run) =>
      steps.includes((await stepOf(cloud, strandId)) ?? '')
  const isEmpty = (query: { execute(): Promise<unknown[]> }): Promise<boolean> =>
    query.execute().then(
      (rows) => rows.length === 0,
      () => false,
    )
  const UPLOAD = at('backup', 'upload', 1_500, 'machine', 'task', 'store')
  const backupPlaces = [
    at('backup', 'open', 500, 'machine', 'store'),
    UPLOAD,
    at('backup', 'publish', 60, 'machine', 'store'),
    at('backup', 'close', 200, 'machine', 'store'),
    at('backup', 'kept', 50, 'machine'),
  ]
  const create: Story = {
    name: 'create',
    needs: 'running',
    places: backupPlaces,
    prepare: writeAnew,
    begin: beginBackup,
    holds: nothing,
    isOver: stands('kept'),
    ends: isWhole,
  }
  const createStopped: Story = {
    ...create,
    name: 'create, stopped',
    needs: 'stopped',
    places: backupPlaces.map((place) => ({
      ...place,
      victims: place.victims.flatMap((victim): Victim[] => (victim === 'machine' ? ['reader'] : [victim])),
    })),
    prepare: () => removeStoredMarks(disk, () => true), // all of it is read
  }

  let doomed: Known | null = null
  const doom = async () => {
    doomed = await backUp()
  }
  const deleteDoomed = async () => {
    await ask('DELETE', `/backups/${doomed!.id}`)
    return { strandId: doomed!.id, operationId: null, machineId, taskId: doomed!.id }
  }
  const isGone = async ({ strandId }: Run) => {
    await strandIsGone(strandId)
    const { state } = await db
      .selectFrom('backup')
      .select('state')
      .where('id', '=', strandId as BackupId)
      .executeTakeFirstOrThrow()
    assert.equal(state, 'deleted')
  }
  const remove: Story = {
    name: 'delete',
    needs: 'running',
    places: [at('backup', 'gone', 100, 'store')],
    prepare: doom,
    begin: deleteDoomed,
    holds: nothing,
    isOver: stands('gone'),
    ends: isGone,
  }
  const expire: Story = {
    ...remove,
    name: 'expire',
    places: [at('backup', 'remove', 100, 'store'), at('backup', 'gone', 100, 'store')],
    async begin() {
      const id = doomed!.id
      await db
        .updateTable('backup')
        .set({ expires_at: new Date(0) })
        .where('id', '=', id)
        .execute()
      await db
        .updateTable('strand')
        .set({ wake_at: new Date(0) })
        .where('id', '=', id)
        .execute()
      nudgeWorker(cloud)
      return { strandId: id, operationId: null, machineId, taskId: id }
    },
  }
  const sweep: Story = {
    ...remove,
    name: 'sweep',
    places: [at('backup_chunk', 'UPDATE', 20, 'store'), at('backup_chunk', 'DELETE', 20, 'store')],
    async begin() {
      const run = await deleteDoomed()
      await strandIsGone(run.strandId)
      nudgeWorker(cloud)
      return run
    },
    isOver: () =>
      isEmpty(
        db.selectFrom('backup').select('id').where('state', '=', 'deleted').where('manifest_blob_id', 'is not', null),
      ),
  }
  const letGo: Story = {
    ...remove,
    name: 'let go of objects',
    places: [at('blob', 'DELETE', 50, 'store')],
    async begin() {
      const run = await deleteDoomed()
      await strandIsGone(run.strandId)
      const storage = { releasedGraceSeconds: 0, orphanGraceSeconds: 0, scrubBytes: 0, backupGraceMinutes: 0 }
      await sweepBackups.run({ db, objects: context.objects, storage, log: () => {} }, new AbortController().signal)
      // The worker's own patience with readers is a minute of the machine's clock.
      await db
        .updateTable('released_blob')
        .set({ released_at: new Date(0) })
        .execute()
      nudgeWorker(cloud)
      return run
    },
    isOver: () => isEmpty(db.selectFrom('released_blob').select('blob_id')),
  }
  const abandon: Story = {
    ...remove,
    name: 'delete while it is uploaded',
    places: [at('backup', 'remove', 300, 'machine', 'task', 'store'), at('backup', 'gone', 50, 'machine')],
    prepare: writeAnew,
    async begin() {
      const run = await beginBackup()
      await eventually('it is uploaded', async () => (await stepOf(cloud, run.strandId)) === 'upload')
      await ask('DELETE', `/backups/${run.strandId}`)
      return { ...run, operationId: null }
    },
  }

  async function choose(): Promise<Known> {
    if (kept.length === 0 || kept.every(({ digest }) => digest === onDisk)) {
      kept.push(await backUp())
      await writeAnew()
      await prepareMachine('stopped')
    }
    return kept.findLast(({ digest }) => digest !== onDisk) ?? kept[0]!
  }
  let chosen: Known | null = null
  const restoring = db.selectFrom('instance').select('id').where('restore_backup_id', 'is not', null)
  const restoreInPlace: Story = {
    name: 'restore in place',
    needs: 'stopped',
    places: [
      at('instance', 'restore', 1_500, 'task', 'store'),
      at('instance', 'swap', 150, 'store'),
      at('instance', 'settle', 50),
    ],
    async prepare() {
      chosen = await choose()
    },
    async begin() {
      const { operation } = await ask<{ operation: Operation }>('POST', `/backups/${chosen!.id}/restore`)
      return { strandId: machineId, operationId: operation.id, machineId: null, taskId: `restore-${machineId}` }
    },
    async holds() {
      assert.ok(existsSync(disk), 'the original disk is gone')
    },
    isOver: async (run) => (await stands('settle')(run)) && (await isEmpty(restoring)),
    async ends() {
      assert.equal(await cloud.digestOnDisk(machineId, FILE), chosen!.digest, 'the disk shows other bytes')
      onDisk = chosen!.digest
    },
  }

  const anew: Story = {
    name: 'restore to a new instance',
    needs: 'stopped',
    places: [
      at('instance', 'place', 50),
      at('instance', 'restore', 1_500, 'task', 'store'),
      at('instance', 'swap', 150, 'store'),
      at('instance', 'boot', 1_000, 'machine'),
      at('instance', 'ready', 6_000, 'machine', 'store'),
      at('instance', 'settle', 50, 'machine'),
    ],
    async prepare() {
      chosen = kept.at(-1) ?? (await choose())
    },
    async begin() {
      const body = { name: 'second', backupId: chosen!.id }
      const { instance, operation } = await ask<InstanceAccepted>('POST', '/instances', body)
      const id = instance.id as InstanceId
      return { strandId: id, operationId: operation.id, machineId: id, taskId: `restore-${id}` }
    },
    holds: nothing,
    isOver: stands('settle'),
    async ends({ strandId }) {
      await eventually(
        'it runs',
        async () => (await ask<Instance>('GET', `/instances/${strandId}`)).state === 'running',
        WORK_MS,
      )
      const look = () => cloud.inside('second', `sha256sum ${FILE}`).catch(() => null)
      const digest = (await eventually('it answers', look, WORK_MS)).split(' ')[0]
      assert.equal(digest, chosen!.digest, 'the new instance shows other bytes')
      await ask('DELETE', `/instances/${strandId}?purge=true`)
      await strandIsGone(strandId)
    },
  }

  const verify: Story = {
    name: 'verify',
    needs: 'stopped',
    places: [
      at('receipt', 'place', 50),
      at('receipt', 'restore', 1_500, 'task', 'store'),
      at('receipt', 'boot', 800, 'machine'),
      at('receipt', 'watch', 6_000, 'machine', 'store'),
      at('receipt', 'halt', 1_500, 'machine'),
      at('receipt', 'check', 800, 'store'),
      at('receipt', 'record', 20),
      at('receipt', 'clean', 100),
      at('receipt', 'gone', 20),
    ],
    async prepare() {
      chosen = kept.at(-1) ?? (await choose())
    },
    async begin() {
      const { receipt, operation } = await ask<ReceiptAccepted>('POST', `/backups/${chosen!.id}/verify`)
      const { machine_id } = await eventually('the receipt is known', () =>
        db
          .selectFrom('receipt')
          .select('machine_id')
          .where('id', '=', receipt.id as ReceiptId)
          .executeTakeFirst()
          .catch(() => null),
      )
      return { strandId: receipt.id, operationId: operation.id, machineId: machine_id, taskId: `restore-${receipt.id}` }
    },
    holds: nothing,
    isOver: stands('gone'),
    async ends({ strandId }) {
      const { state, state_reason } = await db
        .selectFrom('receipt')
        .select(['state', 'state_reason'])
        .where('id', '=', strandId as ReceiptId)
        .executeTakeFirstOrThrow()
      assert.equal(state, 'passed', state_reason ?? '')
      await strandIsGone(strandId)
    },
  }
  const all = [create, remove, expire, sweep, letGo, abandon, createStopped, restoreInPlace, anew, verify]
  return {
    prepareMachine,
    stories: all.map((story) => ({
      ...story,
      async ends(run: Run) {
        if (run.operationId) await isDone(run.operationId)
        await story.ends(run)
      },
    })),
  }
}

/** Where a strand stands, `gone` after its end; null when the database does not answer. */
export const stepOf = ({ context: { db } }: KillCloud, id: string): Promise<string | null> =>
  db
    .selectFrom('strand')
    .select('step')
    .where('id', '=', id)
    .executeTakeFirst()
    .then(
      (row) => row?.step ?? 'gone',
      () => null,
    )

/** Its reconcilers run from the start: a new one does at once what the old one would have done within a minute. */
function nudgeWorker({ havn }: KillCloud): void {
  const worker = havn.process('worker')
  if (worker) signalProcess(worker, 'SIGTERM')
}
