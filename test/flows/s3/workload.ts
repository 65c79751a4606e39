/**
 * One client of an S3 server that may die at any moment: it writes, overwrites, copies, joins parts and deletes, on
 * keys that are its own, and puts into the ledger what it was told. A key whose last write has no known outcome is left
 * alone until the ledger is settled.
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { assertSameBytes, bytesOf } from '../../bytes.ts'
import { type Answer, type BareClient, type Call, element } from './client.ts'
import type { Content, Ledger, Write } from './ledger.ts'

const KEYS = 12
const PART_BYTES = 5 * 1024 * 1024 // the least that S3 takes for a part that is not the last
const INLINE_BYTES_MAX = 16 * 1024

/** A bucket, and whether every write of it makes a version. */
export interface Place {
  bucket: string
  isVersioned: boolean
}

/** A version that was promised, by its id. */
export interface Version extends Place {
  key: string
  id: string
  /** Null = a delete marker. */
  content: Content
}

export interface Workload {
  client: BareClient
  places: readonly Place[]
  ledger: Ledger
  /** Of versioned places; what was deleted by its id is taken out when the deletion begins. */
  versions: Map<string, Version>
  name: string
  random: () => number
  /** Called for every acknowledged write. */
  acknowledged(): void
  /** Called for every answer of 500 and above. */
  failed(what: string, answer: Answer): void
}

export const pathOf = (place: Place, key: string) => `/${place.bucket}/${key}`

/** Works until the signal; then returns as soon as its last request has ended. */
export async function work(workload: Workload, signal: AbortSignal): Promise<void> {
  const { random, places } = workload
  let made = 0
  const newContent = (length: number): Content => ({ id: `${workload.name}-${made++}`, length })
  const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]!
  const between = (low: number, high: number) => low + Math.floor(random() * (high - low))
  const unfinished: Completion[] = []

  const step = async () => {
    const settled = unfinished.findIndex(({ path }) => !workload.ledger.isOpen(path))
    // Before anything else happens to the key: who asks again for what may have happened gets the same answer.
    if (settled >= 0) return complete(workload, unfinished, unfinished.splice(settled, 1)[0]!)
    const place = pick(places)
    const free = freeKeys(workload, place)
    if (free.length < 2) throw new Unreachable()
    const key = pick(free)
    const dice = random()
    if (dice < 0.35) await put(workload, place, key, newContent(between(0, INLINE_BYTES_MAX)))
    else if (dice < 0.57) await put(workload, place, key, newContent(between(INLINE_BYTES_MAX + 1, 300_000)))
    else if (dice < 0.6) await put(workload, place, key, newContent(between(1_000_000, 2_000_000)))
    else if (dice < 0.63)
      await multipart(workload, unfinished, place, key, newContent(PART_BYTES + between(1, 400_000)))
    else if (dice < 0.73) await copy(workload, place, pick(free), key)
    else if (dice < 0.83) await remove(workload, place, key)
    else if (dice < 0.86) await removeMany(workload, place, [...new Set([key, pick(free), pick(free)])])
    else if (dice < 0.88) await removeVersion(workload)
    else if (dice < 0.92) await put(workload, place, `shared/${between(0, 3)}`, newContent(between(0, 40_000)))
    else await read(workload, place, key)
  }
  while (!signal.aborted) {
    await step().catch((error) => {
      if (!(error instanceof Unreachable)) throw error
      return delay(5) // until the server is back
    })
  }
}

function freeKeys({ name, ledger }: Workload, place: Place): string[] {
  const keys = Array.from({ length: KEYS }, (_, index) => `${name}/${index}`)
  return keys.filter((key) => !ledger.isOpen(pathOf(place, key)))
}

const contentBytes = (content: NonNullable<Content>) => bytesOf(content.id, content.length)

/** Null when the line was cut or the server could not. Every refusal is a bug of the server. */
async function ask(workload: Workload, method: string, path: string, call: Call): Promise<Answer | null> {
  const answer = await workload.client.call(method, path, call).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNREFUSED') throw new Unreachable()
    return null
  })
  if (answer === null) return null
  const failed = answer.status >= 500 || answer.body.includes('<Error>')
  assert.ok(answer.status < 300 || failed, `${method} ${path}: ${answer.status}`)
  if (!failed) return answer
  assert.ok(answer.status >= 500, `${method} ${path}: ${answer.status} ${answer.body}`)
  workload.failed(`${method} ${path}`, answer)
  return null
}

/** Nobody was there to hear it, so it did not happen. */
class Unreachable extends Error {}

/** Sends a write and tells the ledger how it went. */
async function attempt(
  workload: Workload,
  writes: readonly Write[],
  method: string,
  path: string,
  call: Call,
): Promise<Answer | null> {
  try {
    const answer = await ask(workload, method, path, call)
    for (const write of writes) {
      if (answer === null) write.unknown()
      else write.acknowledged()
    }
    if (answer) workload.acknowledged()
    return answer
  } catch (error) {
    if (error instanceof Unreachable) for (const write of writes) write.refused()
    throw error
  }
}

function promise(workload: Workload, place: Place, key: string, content: Content, id: unknown): void {
  if (!place.isVersioned) return
  assert.ok(typeof id === 'string' && id !== 'null', `a version id for ${key}`)
  workload.versions.set(id, { ...place, key, id, content })
}

async function put(workload: Workload, place: Place, key: string, content: Content): Promise<void> {
  const path = pathOf(place, key)
  const write = workload.ledger.begin(path, content)
  const body = contentBytes(content!)
  const answer = await attempt(workload, [write], 'PUT', path, { body, signsBody: workload.random() < 0.3 })
  if (answer) promise(workload, place, key, content, answer.headers['x-amz-version-id'])
}

async function copy(workload: Workload, place: Place, from: string, to: string): Promise<void> {
  const [content, ...others] = workload.ledger.allowed(pathOf(place, from))
  // Only what is surely there can be copied, and onto itself it is no copy.
  if (!content || others.length > 0 || from === to) return
  const path = pathOf(place, to)
  const write = workload.ledger.begin(path, content)
  const headers = { 'x-amz-copy-source': encodeURI(pathOf(place, from)) }
  const answer = await attempt(workload, [write], 'PUT', path, { headers })
  if (answer) promise(workload, place, to, content, answer.headers['x-amz-version-id'])
}

async function remove(workload: Workload, place: Place, key: string): Promise<void> {
  const path = pathOf(place, key)
  const answer = await attempt(workload, [workload.ledger.begin(path, null)], 'DELETE', path, {})
  if (answer) promise(workload, place, key, null, answer.headers['x-amz-version-id'])
}

async function removeMany(workload: Workload, place: Place, keys: readonly string[]): Promise<void> {
  const writes = keys.map((key) => workload.ledger.begin(pathOf(place, key), null))
  const objects = keys.map((key) => `<Object><Key>${key}</Key></Object>`).join('')
  const body = Buffer.from(`<Delete><Quiet>true</Quiet>${objects}</Delete>`)
  await attempt(workload, writes, 'POST', `/${place.bucket}`, { query: [['delete', '']], body })
}

/** For good: what was promised before need not be there any more, whatever becomes of the request. */
async function removeVersion(workload: Workload): Promise<void> {
  const [id, version] = [...workload.versions].find(([, one]) => one.key.startsWith(`${workload.name}/`)) ?? []
  if (id === undefined || version === undefined) return
  const path = pathOf(version, version.key)
  // Only an old one: to take the newest away would bring back the one before it.
  const newest = [...workload.versions.values()].filter(
    (one) => one.key === version.key && one.bucket === version.bucket,
  )
  if (newest.length < 3 || workload.ledger.isOpen(path)) return
  workload.versions.delete(id)
  await ask(workload, 'DELETE', path, { query: [['versionId', id]] })
}

interface Completion {
  place: Place
  key: string
  path: string
  content: Content
  call: Call
}

async function multipart(
  workload: Workload,
  unfinished: Completion[],
  place: Place,
  key: string,
  content: Content,
): Promise<void> {
  const path = pathOf(place, key)
  const body = contentBytes(content!)
  // What fails before Complete has not written the key; the upload stays behind, as in life.
  const begun = await ask(workload, 'POST', path, { query: [['uploads', '']] })
  if (begun === null) return
  const uploadId = element(begun.body, 'UploadId')!
  const etags: string[] = []
  for (const [index, part] of [body.subarray(0, PART_BYTES), body.subarray(PART_BYTES)].entries()) {
    const query = [['partNumber', String(index + 1)] as const, ['uploadId', uploadId] as const]
    const answer = await ask(workload, 'PUT', path, { query, body: part })
    if (answer === null) return
    etags.push(String(answer.headers.etag))
  }
  const parts = etags.map((etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`)
  const document = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`)
  const call = { query: [['uploadId', uploadId] as const], body: document }
  await complete(workload, unfinished, { place, key, path, content, call })
}

async function complete(workload: Workload, unfinished: Completion[], completion: Completion): Promise<void> {
  const { place, key, path, content, call } = completion
  unfinished.push(completion)
  const answer = await attempt(workload, [workload.ledger.begin(path, content)], 'POST', path, call)
  if (!answer) return
  unfinished.pop()
  promise(workload, place, key, content, answer.headers['x-amz-version-id'])
}

async function read(workload: Workload, place: Place, key: string): Promise<void> {
  const path = pathOf(place, key)
  const allowed = workload.ledger.allowed(path)
  const answer = await workload.client.call('GET', path).catch(() => null)
  if (answer === null) throw new Unreachable()
  if (answer.status >= 500) workload.failed(`GET ${path}`, answer)
  else assertAllowed(answer, path, allowed)
}

/** The answer to a GET is one of these contents, whole. */
export function assertAllowed(answer: Answer, what: string, allowed: readonly Content[]): void {
  if (answer.status === 404) {
    assert.ok(allowed.includes(null), `${what} is gone; it should be one of ${JSON.stringify(allowed)}`)
    return
  }
  assert.equal(answer.status, 200, `${what}: ${answer.body.subarray(0, 500)}`)
  const content = allowed.find((one) => one !== null && answer.body.equals(contentBytes(one)))
  const lengths = `${answer.body.length} bytes; allowed are ${JSON.stringify(allowed)}`
  assert.ok(content, `${what} is not what was written: ${lengths}`)
  assertSameBytes(answer.body, contentBytes(content), what)
}
