/**
 * Fetches a large file from a public web server into a file, going on where an earlier attempt stopped (RFC 9110,
 * sections 13.1.5 and 14). The URL is a user's, so the server must not be led into its own network: every address is
 * looked at after the name was resolved, in the same look-up that the connection uses, on every redirect anew.
 */
import { createHash } from 'node:crypto'
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { createReadStream, createWriteStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import * as http from 'node:http'
import * as https from 'node:https'
import { BlockList, isIP } from 'node:net'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { readJson, writeFileAtomically } from '../../lib/files.ts'
import { CloudError } from '../../model/errors.ts'

export interface DownloadOptions {
  url: string
  /** Hexadecimal. */
  sha256: string
  /** Kept between attempts, with `FILE.json` beside it. */
  file: string
  maxBytes: number
  signal: AbortSignal
  /** Only tests: their server is on loopback. */
  allowPrivate?: boolean
  report: (percent: number) => void
}

const REDIRECTS_MAX = 5
const ATTEMPTS_MAX = 5
const IDLE_MS = 60_000

/** What identifies the content on the server, so that a later part belongs to the same whole. */
interface Origin {
  url: string
  validator: string | null
}

/** The file is complete and has the digest. `invalid` when it never can, `unavailable` when another try may help. */
export async function download(options: DownloadOptions): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await continueDownload(options)
      break
    } catch (error) {
      if (options.signal.aborted) throw new CloudError('invalid', 'the download takes too long', { cause: error })
      if (error instanceof CloudError && error.code !== 'unavailable') throw error
      if (attempt < ATTEMPTS_MAX) continue
      if (error instanceof CloudError) throw error
      throw new CloudError('unavailable', `cannot download ${options.url}`, { cause: error })
    }
  }
  const digest = await digestOf(options.file)
  if (digest === options.sha256.toLowerCase()) return
  await rm(options.file, { force: true })
  throw new CloudError('invalid', `the download has sha256 ${digest}, not ${options.sha256}`)
}

async function continueDownload({ url, file, maxBytes, signal, allowPrivate = false, report }: DownloadOptions) {
  const notes = `${file}.json`
  const known = await readJson<Origin>(notes)
  const have = await stat(file).then(
    (found) => found.size,
    () => 0,
  )
  const canResume = have > 0 && known?.url === url && known.validator !== null
  const headers = canResume ? { range: `bytes=${have}-`, 'if-range': known.validator! } : {}
  const response = await follow(url, headers, allowPrivate, signal)
  try {
    if (response.statusCode === 416 && canResume) {
      const total = Number(/\/(\d+)$/.exec(response.headers['content-range'] ?? '')?.[1])
      if (total === have) return
      await rm(file, { force: true })
      throw new CloudError('unavailable', 'the file on the server has changed')
    }
    const start = response.statusCode === 206 && canResume ? have : 0
    const from = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1]
    if (response.statusCode === 206 && Number(from) !== start) {
      await rm(file, { force: true })
      throw new CloudError('unavailable', 'the server sent another part than asked for')
    }
    const length = Number(response.headers['content-length'] ?? Number.NaN)
    const total = start + length
    if (total > maxBytes) throw tooLong(maxBytes)
    // A weak ETag does not promise the same bytes, so it cannot continue a file.
    const etag = response.headers.etag
    const validator = etag && !etag.startsWith('W/') ? etag : (response.headers['last-modified'] ?? null)
    if (start === 0) await writeFileAtomically(notes, JSON.stringify({ url, validator } satisfies Origin))
    let done = start
    const count = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        done += chunk.length
        if (Number.isFinite(total)) report((100 * done) / total)
        next(done > maxBytes ? tooLong(maxBytes) : null, chunk)
      },
    })
    await pipeline(response, count, createWriteStream(file, { flags: start ? 'a' : 'w', mode: 0o600 }), { signal })
    if (Number.isFinite(total) && done !== total) throw new CloudError('unavailable', 'the download broke off')
  } finally {
    response.destroy()
  }
}

const tooLong = (maxBytes: number) => new CloudError('invalid', `the file is longer than ${maxBytes} bytes`)

async function follow(
  url: string,
  headers: http.OutgoingHttpHeaders,
  allowPrivate: boolean,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  let at = url
  for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
    const response = await get(at, headers, allowPrivate, signal)
    const status = response.statusCode ?? 0
    if (status >= 300 && status < 400 && response.headers.location) {
      response.destroy()
      at = new URL(response.headers.location, at).href
    } else if (status === 200 || status === 206 || status === 416) {
      return response
    } else {
      response.destroy()
      const mayChange = status >= 500 || status === 429 || status === 408
      throw new CloudError(mayChange ? 'unavailable' : 'invalid', `${at} answers ${status}`)
    }
  }
  throw new CloudError('invalid', `${url} redirects more than ${REDIRECTS_MAX} times`)
}

function get(
  url: string,
  headers: http.OutgoingHttpHeaders,
  allowPrivate: boolean,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  const target = URL.canParse(url) ? new URL(url) : null
  if (!target || !/^https?:$/.test(target.protocol) || target.username || target.password) {
    throw new CloudError('invalid', `${url} is no http or https URL without user and password`)
  }
  const host = target.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) && !allowPrivate && !isPublic(host)) throw refused(host) // no look-up happens for a literal address
  const options: https.RequestOptions = {
    headers: { 'user-agent': 'havn', 'accept-encoding': 'identity', ...headers },
    signal,
    agent: false, // a kept connection would skip the look-up
    timeout: IDLE_MS,
    lookup: (name, lookupOptions, callback) => lookUpPublic(name, lookupOptions, allowPrivate, callback),
  }
  return new Promise((resolve, reject) => {
    const request = (target.protocol === 'https:' ? https : http).get(target, options, resolve)
    request.on('timeout', () => request.destroy(new CloudError('unavailable', `${host} sends nothing`)))
    request.on('error', reject)
  })
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

function lookUpPublic(name: string, options: LookupOptions, allowPrivate: boolean, callback: LookupCallback): void {
  lookup(name, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, [])
    const bad = allowPrivate ? undefined : addresses.find(({ address }) => !isPublic(address))
    if (bad) return callback(refused(`${name} (${bad.address})`), [])
    if (options.all) return callback(null, addresses)
    const first = addresses[0]!
    callback(null, first.address, first.family)
  })
}

const refused = (what: string) => new CloudError('invalid', `${what} is not a public address; upload the file instead`)

/** IANA's special-purpose registries (RFC 6890): nothing in them is a web server of the outside. */
const SPECIAL = new BlockList()
for (const block of [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
]) {
  const [address, prefix] = block.split('/')
  SPECIAL.addSubnet(address!, Number(prefix), 'ipv4')
}
/** Only what is handed out as global unicast, without the parts of it that lead to IPv4 or to nobody. */
const GLOBAL6 = new BlockList()
GLOBAL6.addSubnet('2000::', 3, 'ipv6')
const SPECIAL6 = new BlockList()
for (const [address, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  SPECIAL6.addSubnet(address, prefix, 'ipv6')
}

export function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !SPECIAL.check(address, 'ipv4')
  return GLOBAL6.check(address, 'ipv6') && !SPECIAL6.check(address, 'ipv6')
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash)
  return hash.digest('hex')
}
