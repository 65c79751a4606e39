/** The two programs as detached tasks, killed in the middle and started again. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type BackupStage, backupStage, MIB, rawDisk, uploadWork } from '../../../test/backup-stage.ts'
import { startCluster } from '../../../test/cluster.ts'
import { eventually } from '../../../test/eventually.ts'
import { pathsOf } from '../../lib/paths.ts'
import { readConfig, taskEnvironment } from '../../main/config.ts'
import { ensureInstallationKeys } from '../../main/keys.ts'
import { newId } from '../../model/ids.ts'
import { createS3Objects } from '../objects/s3.ts'
import { lastClaim } from '../tasks/child.ts'
import { createTasks, type TaskProgramName, type TaskStatus } from '../tasks/tasks.ts'
import type { RestoreWork, UploadOutcome } from './work.ts'

const DISK = 256 * MIB
const CHUNKS = 30

async function scene(t: TestContext) {
  const cluster = await startCluster()
  t.after(() => cluster.close())
  const objects = createS3Objects(cluster.options)
  const place = await backupStage(t, { objects })
  const home = join(place.folder, 'home')
  await mkdir(join(home, 'tasks'), { recursive: true })
  const { masterKey } = await ensureInstallationKeys(pathsOf(home))
  const stage: BackupStage = await backupStage(t, { objects, masterKey })
  const { endpoint, region, bucket, prefix, accessKeyId, secretAccessKey } = cluster.options
  const config = readConfig({
    HAVN_HOME: home,
    HAVN_OBJECTS: 's3',
    HAVN_OBJECTS_S3_ENDPOINT: endpoint,
    HAVN_OBJECTS_S3_REGION: region,
    HAVN_OBJECTS_S3_BUCKET: bucket,
    HAVN_OBJECTS_S3_PREFIX: prefix,
    HAVN_OBJECTS_S3_ACCESS_KEY_ID: accessKeyId,
    HAVN_OBJECTS_S3_SECRET_ACCESS_KEY: secretAccessKey,
  })
  const folder = join(home, 'tasks')
  const tasks = createTasks({ folder, env: { ...process.env, ...taskEnvironment(config) } })
  t.after(async () => {
    for (const id of await tasks.list()) await tasks.remove(id)
  })
  const chunks = Array.from({ length: CHUNKS }, (_, index) => ({ offset: index * 8 * MIB, bytes: randomBytes(MIB) }))
  const source = await rawDisk(join(stage.folder, 'disk'), DISK, chunks)

  async function reach(id: string, state: TaskStatus['state']): Promise<TaskStatus> {
    return eventually(`the task is ${state}`, async () => {
      const status = await tasks.read(id)
      assert.ok(status.state !== 'failed' || state === 'failed', status.error?.message)
      return status.state === state && status
    })
  }
  /** Kills it with SIGKILL once `isTime`, which sees every request of the store. */
  async function runAndKill(program: TaskProgramName, input: unknown, isTime: (request: string) => boolean) {
    let wasTime = false
    cluster.fault = (request) => {
      wasTime ||= isTime(request)
      return wasTime ? 'reset' : undefined
    }
    await tasks.ensureStarted('it', program, input)
    await eventually('it is time to kill', () => wasTime)
    const { identity } = await lastClaim(join(folder, 'it'))
    process.kill(identity!.pid, 'SIGKILL')
    await reach('it', 'vanished')
    cluster.fault = () => undefined
  }
  return { cluster, stage, tasks, source, reach, runAndKill }
}

const isChunk = (request: string) => /^PUT havn\/[0-9a-f]{32}$/.test(request)
const isRead = (request: string) => /^GET havn\/[0-9a-f]{32}$/.test(request)

test('an upload that is killed goes on where it stopped', async (t) => {
  const { cluster, stage, tasks, source, reach, runAndKill } = await scene(t)
  const work = uploadWork(newId('backup'), { source, diskBytes: DISK, sealedKey: stage.sealedKey })
  let sent = 0
  await runAndKill('backup-upload', work, (request) => isChunk(request) && ++sent > 15)
  const before = new Set(cluster.objects.keys())
  assert.ok(before.size > 0 && before.size < CHUNKS, `${before.size} chunks were stored`)

  await tasks.ensureStarted('it', 'backup-upload', work)
  const { value } = await reach('it', 'done')
  const outcome = value as UploadOutcome
  assert.equal(outcome.addedChunks, CHUNKS)
  const twice = cluster.objects.size - CHUNKS - 1
  assert.ok(twice <= 12, `${twice} chunks were sent twice: no more than were on their way`)
  const { file } = await stage.restore({ ...outcome, backupId: work.backupId })
  assert.ok((await readFile(file)).equals(await readFile(source.path)))

  await tasks.reset('it')
  assert.equal((await tasks.read('it')).state, 'absent')
  const stored = cluster.objects.size
  const other = { ...work, backupId: newId('backup') }
  await tasks.ensureStarted('it', 'backup-upload', other)
  const again = (await reach('it', 'done')).value as UploadOutcome
  assert.equal(cluster.objects.size, stored + 1, 'with another input too: only the manifest is new')
  await stage.restore({ ...again, backupId: other.backupId })
})

test('a restore that is killed begins anew and is whole', async (t) => {
  const { stage, tasks, source, reach, runAndKill } = await scene(t)
  const uploaded = await stage.upload({ source, diskBytes: DISK })
  const { backupId, manifestBlobId, manifestBytes } = uploaded
  const folder = join(stage.folder, 'target')
  await mkdir(folder)
  const file = join(folder, 'disk')
  const { sealedKey } = stage
  const owner = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : null
  const work: RestoreWork = { backupId, sealedKey, manifestBlobId, manifestBytes, file, format: 'raw', owner }
  let read = 0
  await runAndKill('backup-restore', work, (request) => isRead(request) && ++read > 12)
  await tasks.ensureStarted('it', 'backup-restore', work)
  await reach('it', 'done')
  assert.deepEqual(await readdir(folder), ['disk'])
  assert.ok((await readFile(file)).equals(await readFile(source.path)))
  const { mode, uid } = await stat(file)
  assert.deepEqual([mode & 0o777, uid], [0o600, owner?.uid ?? process.getuid?.()])
})
