/**
 * Backups of one real machine. The tests stand on each other in this order and share its boot.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { Instance } from '../../src/dialects/native/contract/instances.ts'
import type { AppContext } from '../../src/main/context.ts'
import { CHUNK_BYTES } from '../../src/model/backup.ts'
import * as backups from '../../src/services/backups/backups.ts'
import * as templates from '../../src/services/backups/templates.ts'
import type { Ctx } from '../../src/services/ctx.ts'
import * as instances from '../../src/services/instances.ts'
import { eventually } from '../eventually.ts'
import type { Havn } from '../havn.ts'
import { type MachineCloud, startMachineCloud } from '../machine-cloud.ts'

const MIB = 2 ** 20
const BACKUP_MS = 300_000 // on a busy machine without KVM

describe('backups of a real machine', () => {
  let cloud: MachineCloud
  let havn: Havn
  let context: AppContext
  let ctx: Ctx
  let first: Instance

  before(async () => {
    cloud = await startMachineCloud()
    ;({ havn, context, ctx, first } = cloud)
  })
  after(() => cloud?.close())

  const inside = (command: string) => cloud.inside('first', command)
  async function completed(id: string): Promise<backups.Backup> {
    await eventually(
      `${id} is completed`,
      async () => {
        const { state, stateReason } = await backups.get(ctx, id)
        assert.notEqual(state, 'failed', stateReason ?? '')
        return state === 'completed'
      },
      BACKUP_MS,
    )
    return backups.get(ctx, id)
  }
  const backUp = async () => completed((await backups.create(ctx, 'first')).backup.id)
  const chunksOf = async ({ id }: backups.Backup) =>
    (await context.db.selectFrom('backup').select('chunks').where('id', '=', id).executeTakeFirstOrThrow()).chunks!
  const tasks = () => readdirSync(havn.paths.tasks).filter((name) => name.startsWith('bkp_'))
  const isClear = () => eventually('no task is left', () => tasks().length === 0)

  test('a running guest is backed up while it writes', async (t) => {
    await inside('(while :; do date >> /root/busy; sync; sleep 0.2; done) >/dev/null 2>&1 & echo begun')
    const backup = await backUp()
    assert.ok(backup.consistency === 'filesystem' || backup.consistency === 'crash')
    assert.ok(backup.dataBytes! > 0 && backup.readBytes! >= 0)
    assert.equal(backup.addedBytes, backup.storedBytes)
    const [lines] = [Number(await inside('wc -l < /root/busy'))]
    await eventually('the guest writes on', async () => Number(await inside('wc -l < /root/busy')) > lines)
    t.diagnostic(figures(backup))
    await isClear()
  })

  test('the next one brings what changed, and reads little more', async (t) => {
    const before = (await backups.list(ctx, { instance: 'first' })).items[0]!
    await inside('dd if=/dev/urandom of=/root/five bs=1M count=5 2>/dev/null; sync')
    const backup = await backUp()
    const known = new Set(await chunksOf(before))
    const changed = (await chunksOf(backup)).filter((number) => number !== 0 && !known.has(number)).length
    t.diagnostic(`${figures(backup)}; ${changed} chunks changed`)
    assert.ok(changed > 0 && changed < known.size)
    assert.ok(backup.addedBytes! <= 1.1 * changed * CHUNK_BYTES + MIB, 'it brings no more than what changed')
    assert.ok(backup.addedBytes! >= 5 * MIB, 'five random MiB do not compress')
    assert.ok(backup.readBytes! <= (changed + 4) * CHUNK_BYTES, 'unchanged chunks are not even read')
    await isClear()
  })

  test('a worker that is killed in the middle leaves nothing half done', async (t) => {
    await inside('dd if=/dev/urandom of=/root/fifty bs=1M count=50 2>/dev/null; sync')
    const { backup } = await backups.create(ctx, 'first')
    await eventually('it is under way', () => tasks().length > 0)
    process.kill(havn.process('worker')!.pid, 'SIGKILL')
    const whole = await completed(backup.id)
    t.diagnostic(figures(whole))
    assert.ok(whole.addedBytes! >= 50 * MIB)
    await isClear()
    assert.equal((await havn.json<Instance>('instance show first')).startedAt, first.startedAt, 'the guest ran on')
    const files = await eventually('no export is left', async () => {
      const left = (await havn.driver().resources()).filter(({ name }) => name.includes(backup.id))
      return left.length === 0 && 'none'
    })
    assert.equal(files, 'none')
  })

  test('a stopped machine needs no power, and one that is started meanwhile does not wait', async (t) => {
    assert.equal((await havn.run('instance stop first --wait')).code, 0)
    const backup = await backUp()
    t.diagnostic(figures(backup))
    assert.equal(backup.consistency, 'off')
    const { backup: another } = await backups.create(ctx, 'first')
    assert.equal((await havn.run('instance start first --wait')).code, 0)
    assert.ok(['off', 'crash', 'filesystem'].includes((await completed(another.id)).consistency!))
    await isClear()
  })

  test('a template of it makes a machine with what was on its disk', async () => {
    const digest = (await inside('sha256sum /root/five')).split(' ')[0]
    const [backup] = (await backups.list(ctx, { instance: 'first' })).items
    const { image } = await templates.convert(ctx, backup!.id, { name: 'golden' })
    await eventually(
      'the image is made',
      async () => (await templates.get(ctx, image.id)).state === 'available',
      BACKUP_MS,
    )
    await instances.create(ctx, { hostname: 'copy', imageId: image.id, planId: first.plan.id })
    await eventually(
      'it answers',
      async () => {
        const { code, out } = await havn.run(['ssh', 'copy', '--', 'sha256sum', '/root/five'])
        return code === 0 && out.split(' ')[0] === digest
      },
      BACKUP_MS,
    )
    assert.equal((await havn.run(['ssh', 'copy', '--', 'hostname'])).out.trim(), 'copy', 'first-boot work ran again')
  })
})

const figures = ({ consistency, frozenMs, ...it }: backups.Backup): string => {
  const mib = (bytes: number | null) => (bytes === null ? '-' : (bytes / MIB).toFixed(1))
  const seconds = (it.completedAt!.getTime() - it.createdAt.getTime()) / 1_000
  return `${consistency}, frozen ${frozenMs} ms; ${seconds.toFixed(1)} s; MiB: disk ${mib(it.diskBytes)}, data ${mib(it.dataBytes)}, read ${mib(it.readBytes)}, stored ${mib(it.storedBytes)}, added ${mib(it.addedBytes)}`
}
