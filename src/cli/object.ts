/** `object …`: bytes in and out, through the S3 protocol like any other client. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { type Cli, type Command, JSON_OPTION } from './command.ts'
import { CliError } from './exit.ts'
import { bytes, json } from './output.ts'
import { createS3Client, type S3Client } from './s3-client.ts'
import { downloadFile, downloadStream } from './s3-download.ts'
import { type ListedObject, list, listVersions, remove } from './s3-objects.ts'
import { upload } from './s3-upload.ts'
import { meter } from './transfer-meter.ts'

/** `bucket`, `bucket/`, `bucket/key` and the same behind `s3://`. */
function address(text: string): { bucket: string; key: string } {
  const [, bucket, key = ''] = /^(?:s3:\/\/)?([^/]+)(?:\/(.*))?$/s.exec(text) ?? []
  if (!bucket) throw new CliError('usage', `${JSON.stringify(text)} is not BUCKET/KEY`)
  return { bucket, key }
}

function objectAddress(text: string) {
  const place = address(text)
  if (place.key === '') throw new CliError('usage', `${JSON.stringify(text)} names a bucket: say BUCKET/KEY`)
  return place
}

async function withS3<T>(cli: Cli, work: (s3: S3Client) => Promise<T>): Promise<T> {
  const s3 = createS3Client(await cli.client.call('getS3Credentials'))
  try {
    return await work(s3)
  } finally {
    s3.close()
  }
}

const put: Command = {
  name: 'object put',
  summary: 'store a file, or - for what comes on stdin',
  positionals: ['FILE', 'BUCKET/KEY'],
  options: {
    type: { type: 'string', value: 'TYPE', help: 'its content type; default: by the name' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const file = args.at.FILE!
    const place = address(args.at['BUCKET/KEY']!)
    if (file === '-' && (place.key === '' || place.key.endsWith('/')))
      throw new CliError('usage', 'what comes on stdin needs a key: say BUCKET/KEY')
    const key = place.key === '' || place.key.endsWith('/') ? place.key + basename(file) : place.key
    const sizeBytes = file === '-' ? null : await sizeOf(file)
    const stream = file === '-' ? cli.input : createReadStream(file, { highWaterMark: 1024 * 1024 })
    const progress = meter(cli, `${place.bucket}/${key}`, sizeBytes, args.flag('json'))
    const contentType = args.text('type') ?? typeOf(key)
    const done = await withS3(cli, (s3) =>
      upload(s3, { ...place, key, stream, sizeBytes, contentType, onProgress: progress.at }),
    ).finally(progress.end)
    cli.print(args.flag('json') ? json({ ...place, key, ...done }) : `${place.bucket}/${key}  ${bytes(done.sizeBytes)}`)
    return undefined
  },
}

async function sizeOf(file: string): Promise<number> {
  const found = await stat(file).catch(() => null)
  if (!found) throw new CliError('usage', `there is no file ${file}`)
  if (!found.isFile()) throw new CliError('usage', `${file} is no file`)
  return found.size
}

const get: Command = {
  name: 'object get',
  summary: 'fetch an object; - writes it to stdout',
  positionals: ['BUCKET/KEY', 'FILE?'],
  options: JSON_OPTION,
  async run(cli, args) {
    const place = objectAddress(args.at['BUCKET/KEY']!)
    const name = basename(place.key)
    const wanted = args.at.FILE ?? name
    if (wanted === '' || wanted === '.' || wanted === '..') {
      throw new CliError('usage', `${place.key} is no name for a file: say BUCKET/KEY FILE`)
    }
    const progress = meter(cli, args.at['BUCKET/KEY']!, null, args.flag('json') || wanted === '-')
    const file = wanted !== '-' && (await isFolder(wanted)) ? join(wanted, name) : wanted
    const done = await withS3(cli, (s3) =>
      file === '-' ? downloadStream(s3, place, cli.output, progress.at) : downloadFile(s3, place, file, progress.at),
    ).finally(progress.end)
    if (file === '-') return undefined
    cli.print(args.flag('json') ? json({ ...place, file, ...done }) : `${file}  ${bytes(done.sizeBytes)}`)
    return undefined
  },
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

const ls: Command = {
  name: 'object ls',
  summary: 'list the objects of a bucket, or those under a prefix',
  positionals: ['BUCKET[/PREFIX]'],
  options: { recursive: { type: 'boolean', help: 'also what lies behind further slashes' }, ...JSON_OPTION },
  async run(cli, args) {
    const { bucket, key: prefix } = address(args.at['BUCKET[/PREFIX]']!)
    const isJson = args.flag('json')
    const all = { bucket, prefix, prefixes: [] as string[], objects: [] as ListedObject[] }
    await withS3(cli, async (s3) => {
      for await (const page of list(s3, bucket, prefix, args.flag('recursive') ? {} : { delimiter: '/' })) {
        if (isJson) {
          all.prefixes.push(...page.prefixes)
          all.objects.push(...page.objects)
          continue
        }
        for (const folder of page.prefixes) cli.print(line('', '', folder))
        for (const { modifiedAt, sizeBytes, key } of page.objects) {
          cli.print(line(modifiedAt.slice(0, 19).replace('T', ' '), bytes(sizeBytes), key))
        }
      }
    })
    if (isJson) cli.print(json(all))
    return undefined
  },
}

// A key may hold control characters, which would act on the terminal.
const line = (time: string, size: string, key: string) =>
  `${time.padEnd(19)}  ${size.padStart(10)}  ${key.replaceAll(/\p{Cc}/gu, '\ufffd')}`

const rm: Command = {
  name: 'object rm',
  summary: 'delete an object, or all under a prefix',
  positionals: ['BUCKET/KEY'],
  options: {
    recursive: { type: 'boolean', help: 'everything whose key begins so; BUCKET alone empties the bucket' },
    versions: { type: 'boolean', help: 'with --recursive: every version for good, delete markers too' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const text = args.at['BUCKET/KEY']!
    const isRecursive = args.flag('recursive')
    if (args.flag('versions') && !isRecursive) throw new CliError('usage', '--versions goes with --recursive')
    const place = isRecursive ? address(text) : objectAddress(text)
    let deleted = 0
    await withS3(cli, async (s3) => {
      if (!isRecursive) {
        // Deleting what is not there is a success of S3; somebody who mistyped wants to know.
        await s3.send({ method: 'HEAD', ...place })
        await s3.send({ method: 'DELETE', ...place })
        deleted = 1
        return
      }
      for await (const refs of pagesOf(s3, place, args.flag('versions'))) {
        if (refs.length > 0) await remove(s3, place.bucket, refs)
        deleted += refs.length
        if (cli.isTerminal && !args.flag('json')) cli.note(`${deleted} deleted`)
      }
    })
    cli.print(args.flag('json') ? json({ ...place, deleted }) : `deleted ${deleted} from ${place.bucket}`)
    return undefined
  },
}

async function* pagesOf(s3: S3Client, { bucket, key }: { bucket: string; key: string }, everyVersion: boolean) {
  if (everyVersion) yield* listVersions(s3, bucket, key)
  else for await (const { objects } of list(s3, bucket, key)) yield objects.map(({ key }) => ({ key }))
}

/** The few that matter to browsers; object storage does not look into what it keeps. */
const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.csv': 'text/csv; charset=utf-8',
  '.gif': 'image/gif',
  '.gz': 'application/gzip',
  '.html': 'text/html; charset=utf-8',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
  '.mp4': 'video/mp4',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.tar': 'application/x-tar',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webp': 'image/webp',
  '.xml': 'application/xml',
  '.zip': 'application/zip',
}
const typeOf = (key: string): string => TYPES[extname(key).toLowerCase()] ?? 'application/octet-stream'

export const objectCommands: readonly Command[] = [put, get, ls, rm]
