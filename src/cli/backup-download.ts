/**
 * Fetches a backup as a disk image. What an earlier run left half is continued, also after the link has ended: a new one
 * names the same bytes, and their ETag says so. The file gets its name when it is whole.
 */
import { open, rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { DownloadLink } from '../dialects/native/contract/backups.ts'
import { syncFolder } from '../lib/files.ts'
import { CliError } from './exit.ts'

const STALLS_MAX = 5
const MISSING = [403, 404]

/** The file that `path` means: itself, or one of that name in the folder that it is. Asked before anything is fetched. */
export async function targetOf(path: string, name: string): Promise<string> {
  const isFolder = (file: string) =>
    stat(file).then(
      (found) => found.isDirectory(),
      () => false,
    )
  if (await isFolder(path)) return join(path, name)
  if (!(await isFolder(dirname(path)))) throw new CliError('usage', `there is no folder ${dirname(path)}`)
  return path
}

/** `ask` gets a link that is valid now. Returns the size of the image. */
export async function downloadImage(
  ask: () => Promise<DownloadLink>,
  file: string,
  onProgress: (bytes: number, total: number) => void,
): Promise<number> {
  const { url, sizeBytes } = await ask()
  const etag = await etagOf(url)
  const part = `${file}.${etag.replaceAll(/[^\w-]/g, '')}.part`
  let at = await stat(part).then(
    ({ size }) => (size <= sizeBytes ? size : 0),
    () => 0,
  )
  const handle = await open(part, at > 0 ? 'r+' : 'w')
  try {
    for (let stalls = 0, link = url; at < sizeBytes; ) {
      const before = at
      const broken = await fetchFrom(link, etag, at, async (chunk) => {
        for (let done = 0; done < chunk.length; ) {
          done += (await handle.write(chunk, done, chunk.length - done, at + done)).bytesWritten
        }
        at += chunk.length
        onProgress(at, sizeBytes)
      })
      if (at >= sizeBytes) break
      stalls = at > before ? 0 : stalls + 1
      if (stalls >= STALLS_MAX) {
        throw new CliError('unreachable', `the connection breaks again and again at byte ${at} (${broken})`)
      }
      await delay(200 * 2 ** stalls)
      link = (await ask()).url
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(part, file)
  await syncFolder(dirname(file))
  return sizeBytes
}

async function etagOf(url: string): Promise<string> {
  const answer = await reach(url, { method: 'HEAD' })
  if (!answer.ok) throw new CliError('error', `the image cannot be fetched (${answer.status})`)
  return answer.headers.get('etag') ?? ''
}

/** Why it ended before the end; null at a clean end. Errors of `take` are thrown: they are ours. */
async function fetchFrom(
  url: string,
  etag: string,
  start: number,
  take: (chunk: Uint8Array) => Promise<void>,
): Promise<string | null> {
  const answer = await fetch(url, { headers: { range: `bytes=${start}-`, 'if-match': etag } }).catch(
    (error: Error) => error,
  )
  if (answer instanceof Error) return answer.message
  if (answer.status !== 206) {
    await answer.body?.cancel()
    if (answer.status >= 500 || answer.status === 429 || MISSING.includes(answer.status)) return `${answer.status}`
    throw new CliError('error', `the server does not continue the download (${answer.status})`)
  }
  const reader = answer.body!.getReader()
  for (;;) {
    const next = await reader.read().catch((error: Error) => error)
    if (next instanceof Error) return next.message
    if (next.done) return null
    await take(next.value)
  }
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (error) {
    throw new CliError('unreachable', `object storage does not answer at ${new URL(url).origin}`, { cause: error })
  }
}
