/**
 * What every client's test stands on: a cloud, a throw-away home that holds the client's configuration and files, and
 * programs run with nothing else of the machine's in their environment.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, before } from 'node:test'
import { run } from '../../../../src/lib/run.ts'
import { assertSameBytes, bytesOf } from '../../../bytes.ts'
import { startCloud } from '../../../cloud.ts'
import { makeCertificate } from './certificate.ts'

export interface Stage {
  /** `http://127.0.0.1:port`. */
  url: string
  /** `127.0.0.1:port`. */
  host: string
  /** The same over TLS, and the authority that says so. */
  secure: { url: string; ca: string; caFile: string }
  region: string
  accessKeyId: string
  secretAccessKey: string
  /** The client's HOME, empty at first; it is also the folder that programs run in. */
  home: string
  /** A program's output. Throws when it fails, with what it said. */
  run(program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<string>
  /** Writes a file under the home and returns its content. */
  file(name: string, content: Buffer | string): Promise<Buffer>
  read(name: string): Promise<Buffer>
}

export const REGION = 'eu-north-1'
const CLIENT_MS_MAX = 120_000
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** One stage for all tests of a `describe`. */
export function stageOfSuite(): () => Stage {
  let stage: Stage | undefined
  const ends: (() => Promise<void>)[] = []
  before(async () => {
    stage = await openStage({ after: (end) => void ends.push(end) })
  })
  after(async () => {
    for (const end of ends.reverse()) await end()
  })
  return () => stage!
}

async function openStage(t: { after(end: () => Promise<void>): void }): Promise<Stage> {
  const [home, tls] = await Promise.all(['client', 'tls'].map((name) => mkdtemp(join(tmpdir(), `havn-s3-${name}-`))))
  for (const folder of [home!, tls!]) t.after(() => rm(folder, { recursive: true, force: true }))
  const { ca, caFile, certificateFile, keyFile } = await makeCertificate(tls!)
  const env = { HAVN_S3_TLS_LISTEN: '127.0.0.1:0', HAVN_S3_TLS_CERT: certificateFile, HAVN_S3_TLS_KEY: keyFile }
  const cloud = await startCloud(t, { withoutWorker: true, env })
  const { s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey } = cloud.credentials
  return {
    url: cloud.s3Url,
    host: new URL(cloud.s3Url).host,
    secure: { url: cloud.s3.tlsUrl!, ca, caFile },
    region: REGION,
    accessKeyId,
    secretAccessKey,
    home: home!,
    run: (program, args, env = {}) =>
      run(program, args, { cwd: home!, env: { PATH, HOME: home, TMPDIR: home, ...env }, timeoutMs: CLIENT_MS_MAX }),
    async file(name, content) {
      await writeFile(join(home!, name), content)
      return Buffer.from(content)
    },
    read: (name) => readFile(join(home!, name)),
  }
}

/** Every file beneath a folder by its relative path. */
export async function treeOf(folder: string): Promise<Record<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const pairs = files.sort().map(async (file) => [relative(folder, file), await readFile(file)] as const)
  return Object.fromEntries(await Promise.all(pairs))
}

export function assertSameTree(actual: Record<string, Buffer>, expected: Record<string, Buffer>, what: string): void {
  assert.deepEqual(Object.keys(actual), Object.keys(expected), what)
  for (const [name, bytes] of Object.entries(expected)) assertSameBytes(actual[name]!, bytes, `${what}: ${name}`)
}

/** A small tree of files as people have them: empty, small, larger than one part of most clients. */
export async function plantTree(stage: Stage, folder: string): Promise<Record<string, Buffer>> {
  await stage.run('mkdir', ['-p', `${folder}/deep/er`, `${folder}/other folder`])
  const files: Record<string, Buffer> = {
    'deep/er/æøå.txt': Buffer.from('blåbærsyltetøy'),
    'deep/one.bin': bytesOf('one', 70_000),
    'empty.txt': Buffer.alloc(0),
    'large.bin': bytesOf('large', 9_000_000),
    'other folder/a+b & c=d%20.txt': Buffer.from('signs that URLs care about'),
  }
  for (const [name, content] of Object.entries(files)) await stage.file(join(folder, name), content)
  return await treeOf(join(stage.home, folder))
}
