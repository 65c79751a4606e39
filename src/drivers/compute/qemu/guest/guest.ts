/** What the guest agent says of its guest: bounded, and only ever shown. */
import { join } from 'node:path'
import type { InstanceId } from '../../../../model/ids.ts'
import type { GuestReport } from '../../compute.ts'
import { SOCKETS } from '../args.ts'
import { filesFor, isThere, type QemuContext } from '../context.ts'
import { askAgent } from './agent.ts'

/** A guest that is emulated and boots just now takes its time. */
const ANSWER_MS = 3_000
const TEXT_MAX = 200
const UPTIME_BYTES = 64

export async function inspectGuest(context: QemuContext, id: InstanceId): Promise<GuestReport> {
  const socket = join(filesFor(context, id).run, SOCKETS.agent)
  const silent = { answers: false, os: null, uptimeSeconds: null }
  if (!(await isThere(socket))) return silent
  try {
    await askAgent(socket, 'guest-ping', {}, ANSWER_MS)
  } catch {
    return silent
  }
  return {
    answers: true,
    os: await askAgent(socket, 'guest-get-osinfo', {}, ANSWER_MS).then(nameOf, () => null),
    uptimeSeconds: await readUptime(socket).catch(() => null),
  }
}

/** `pretty-name` of os-release(5), or what there is of it. */
export function nameOf(osinfo: unknown): string | null {
  if (typeof osinfo !== 'object' || osinfo === null) return null
  const { 'pretty-name': pretty, name, 'version-id': version } = osinfo as Record<string, unknown>
  const text = typeof pretty === 'string' ? pretty : [name, version].filter((one) => typeof one === 'string').join(' ')
  const clean = text.replace(/[^\x20-\x7e]/g, '').trim()
  return clean === '' ? null : clean.slice(0, TEXT_MAX)
}

/** The agent has no word for it, so its file commands read proc_uptime(5); a guest may forbid those. */
async function readUptime(socket: string): Promise<number | null> {
  const handle = await askAgent(socket, 'guest-file-open', { path: '/proc/uptime', mode: 'r' }, ANSWER_MS)
  if (typeof handle !== 'number') return null
  try {
    return uptimeOf(await askAgent(socket, 'guest-file-read', { handle, count: UPTIME_BYTES }, ANSWER_MS))
  } finally {
    await askAgent(socket, 'guest-file-close', { handle }, ANSWER_MS).catch(() => {})
  }
}

export function uptimeOf(read: unknown): number | null {
  const encoded = (read as { 'buf-b64'?: unknown } | null)?.['buf-b64']
  if (typeof encoded !== 'string') return null
  const seconds = Number(/^\d{1,12}/.exec(Buffer.from(encoded, 'base64').toString('latin1'))?.[0] ?? Number.NaN)
  return Number.isFinite(seconds) ? seconds : null
}
