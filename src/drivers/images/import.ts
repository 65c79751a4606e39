/**
 * Brings a foreign cloud image into the catalogue. A disk image is a program for QEMU: it can name other files to read
 * and servers to call. So its header is read here first, QEMU looks at it only as a user that may read nothing else,
 * without network and within limits, always with the format that was declared, and what comes out is a new file of ours.
 */
import { createHash } from 'node:crypto'
import { constants, createReadStream, createWriteStream } from 'node:fs'
import { chmod, chown, type FileHandle, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { RunError, run } from '../../lib/run.ts'
import { CloudError } from '../../model/errors.ts'
import { download } from './download.ts'
import { checkHeader, HEADER_BYTES } from './header.ts'

const GIB = 2 ** 30
const Sha256 = z.string().regex(/^[0-9a-fA-F]{64}$/)

export const ImportInput = z.strictObject({
  source: z.union([
    z.strictObject({ file: z.string(), sha256: Sha256.optional() }),
    z.strictObject({ url: z.string(), sha256: Sha256 }),
  ]),
  format: z.enum(['qcow2', 'raw']),
  imagesFolder: z.string(),
  maxVirtualBytes: z
    .int()
    .positive()
    .default(256 * GIB),
  maxBytes: z
    .int()
    .positive()
    .default(64 * GIB),
  timeoutMs: z
    .int()
    .positive()
    .default(6 * 3_600_000),
  /** The unprivileged user that QEMU's tools run as when we are root; default: nobody. */
  runAs: z.strictObject({ uid: z.int().positive(), gid: z.int().positive() }).optional(),
  /** Only tests: lets a URL lead to this machine. */
  allowPrivate: z.boolean().default(false),
})
export type ImportInput = z.infer<typeof ImportInput>

const NOBODY = { uid: 65534, gid: 65534 }
const INSPECT = { memoryBytes: 2 * GIB, cpuSeconds: 20, timeoutMs: 60_000 }
const CONVERT = { memoryBytes: 4 * GIB, cpuSeconds: 3600, timeoutMs: 2 * 3_600_000 }

/**
 * Answers a qcow2 file of our own in `work`, to be published. Throws `invalid` with what is wrong with the image, or
 * `unavailable` when another try may help. `kept` holds a broken-off download until then.
 */
export async function importImage(
  input: ImportInput,
  { work, kept }: { work: string; kept: string },
  report: (percent: number, message: string) => void,
): Promise<{ file: string; virtualBytes: number }> {
  const { source, format } = input
  const signal = AbortSignal.timeout(input.timeoutMs)
  let image: string
  if ('url' in source) {
    image = join(kept, 'download')
    const { maxBytes, allowPrivate } = input
    const onPercent = (percent: number) => report(percent * 0.8, 'downloading')
    await download({ ...source, file: image, maxBytes, allowPrivate, signal, report: onPercent })
  } else {
    image = join(work, 'image')
    await copyIn(source, image, input.maxBytes, signal, (percent) => report(percent * 0.8, 'copying'))
  }

  report(80, 'inspecting')
  const { size } = await stat(image)
  const opened = await open(image, constants.O_RDONLY | constants.O_NOFOLLOW)
  const out = join(work, 'disk.qcow2')
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    const { bytesRead } = await opened.read(header, 0, HEADER_BYTES, 0)
    checkHeader(header.subarray(0, bytesRead), format, size, input.maxVirtualBytes)
    // QEMU's user opens it through our descriptor; the folders above stay closed to it.
    await chmod(image, 0o444)
    const virtualBytes = await inspect(opened, input)
    report(85, 'converting')
    await convert(opened, out, input)
    report(100, 'done')
    await rm(image, { force: true })
    return { file: out, virtualBytes }
  } finally {
    await opened.close()
  }
}

/** A copy that nobody can change any more between the check and the use. */
async function copyIn(
  { file, sha256 }: { file: string; sha256?: string | undefined },
  to: string,
  maxBytes: number,
  signal: AbortSignal,
  report: (percent: number) => void,
): Promise<void> {
  let from: FileHandle
  try {
    from = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (cause) {
    throw new CloudError('invalid', `cannot read the image file ${file}`, { cause })
  }
  try {
    const found = await from.stat()
    if (!found.isFile()) throw new CloudError('invalid', `${file} is not an ordinary file`)
    if (found.size > maxBytes) throw new CloudError('invalid', `the file is longer than ${maxBytes} bytes`)
    const hash = createHash('sha256')
    let done = 0
    const look = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        hash.update(chunk)
        done += chunk.length
        report((100 * done) / found.size)
        next(null, chunk)
      },
    })
    const reading = createReadStream(file, { fd: from.fd, autoClose: false, end: Math.max(0, found.size - 1) })
    await pipeline(reading, look, createWriteStream(to, { mode: 0o600 }), { signal })
    const digest = hash.digest('hex')
    if (sha256 && digest !== sha256.toLowerCase()) {
      throw new CloudError('invalid', `the file has sha256 ${digest}, not ${sha256}`)
    }
  } finally {
    await from.close()
  }
}

/** Of `qemu-img info`: only what is looked at. */
const Info = z.object({
  format: z.string(),
  'virtual-size': z.number(),
  encrypted: z.boolean().optional(),
  'backing-filename': z.string().optional(),
  'full-backing-filename': z.string().optional(),
  'format-specific': z
    .object({ data: z.object({ 'data-file': z.string().optional(), corrupt: z.boolean().optional() }).optional() })
    .optional(),
})

/** The disk's size in bytes. */
async function inspect(image: FileHandle, input: ImportInput): Promise<number> {
  const args = ['info', '--output=json', '-f', input.format, '/dev/fd/3']
  const info = Info.parse(JSON.parse(await qemuImg(args, [image.fd], INSPECT, input)))
  const data = info['format-specific']?.data
  if (info.format !== input.format) throw wrong(`it is ${info.format}, not ${input.format}`)
  if (info['backing-filename'] ?? info['full-backing-filename'])
    throw wrong('it reads from another file (backing file)')
  if (data?.['data-file']) throw wrong('its content lies in another file (data file)')
  if (info.encrypted) throw wrong('it is encrypted')
  if (data?.corrupt) throw wrong('it is marked as corrupt')
  if (info['virtual-size'] > input.maxVirtualBytes)
    throw wrong(`its disk is larger than ${input.maxVirtualBytes} bytes`)
  // A file that was cut off reads as zeros behind its end; the check counts what lies there as an error.
  if (input.format === 'qcow2')
    await qemuImg(['check', '-q', '-f', 'qcow2', '/dev/fd/3'], [image.fd], CONVERT, input, [3])
  return info['virtual-size']
}

const wrong = (why: string) => new CloudError('invalid', `the image is refused: ${why}`)

async function convert(image: FileHandle, out: string, input: ImportInput): Promise<void> {
  const file = { driver: 'file', filename: '/dev/fd/3' }
  const node = input.format === 'qcow2' ? { driver: 'qcow2', backing: null, file } : { driver: 'raw', file }
  await rm(out, { force: true })
  const target = await open(out, 'wx+', 0o600)
  try {
    const user = userOf(input)
    if (user) await chown(out, user.uid, user.gid)
    const args = ['convert', '-O', 'qcow2', `json:${JSON.stringify(node)}`, '/dev/fd/4']
    await qemuImg(args, [image.fd, target.fd], CONVERT, input)
    await target.sync()
    if (user) await chown(out, 0, 0)
  } finally {
    await target.close()
  }
}

const userOf = (input: ImportInput) => (process.getuid?.() === 0 ? (input.runAs ?? NOBODY) : null)

/** Runs qemu-img on open files as somebody who can open nothing else, as far as this host allows. */
async function qemuImg(
  args: readonly string[],
  fds: readonly number[],
  limits: typeof INSPECT,
  input: ImportInput,
  alsoFine: readonly number[] = [],
): Promise<string> {
  const user = userOf(input)
  const drop = user
    ? ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', '--no-new-privs', '--']
    : []
  const bounds = ['prlimit', `--as=${limits.memoryBytes}`, `--cpu=${limits.cpuSeconds}`, '--core=0', '--']
  const command = [...(await withoutNetwork()), ...drop, ...bounds, 'qemu-img', ...args]
  try {
    return await run(command[0]!, command.slice(1), { fds, timeoutMs: limits.timeoutMs, cwd: '/' })
  } catch (cause) {
    if (cause instanceof RunError && cause.status !== null && alsoFine.includes(cause.status)) return ''
    if (cause instanceof RunError && cause.stderr === '' && cause.status === null) {
      throw new CloudError('unavailable', 'qemu-img cannot be run; is qemu-utils installed?', { cause })
    }
    throw new CloudError('invalid', `the image is refused: it is no sound ${input.format} image`, { cause })
  }
}

let networkPrefix: Promise<readonly string[]> | null = null
/** The command in front of a command that takes its network away; empty where the kernel does not let us. */
function withoutNetwork(): Promise<readonly string[]> {
  const prefix = process.getuid?.() === 0 ? ['unshare', '--net', '--'] : ['unshare', '--user', '--net', '--']
  networkPrefix ??= run(prefix[0]!, [...prefix.slice(1), 'true']).then(
    () => prefix,
    () => [],
  )
  return networkPrefix
}
