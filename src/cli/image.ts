/** `image …` */
import { createReadStream, statSync } from 'node:fs'
import { basename } from 'node:path'
import { Readable } from 'node:stream'
import type { Image, ImageAccepted } from '../dialects/native/contract/images.ts'
import { type Args, type Cli, type Command, JSON_OPTION, WAIT_OPTIONS } from './command.ts'
import { CliError } from './exit.ts'
import { ago, bytes, json, table } from './output.ts'
import { follow } from './progress.ts'

const list: Command = {
  name: 'image list',
  summary: 'list the images of the catalogue, installed or not',
  positionals: [],
  options: JSON_OPTION,
  async run(cli, args) {
    const found = await cli.client.call('listImages')
    cli.print(args.flag('json') ? json(found) : listing(found.items, cli.now()))
    return undefined
  },
}

const listing = (items: readonly Image[], now: Date) =>
  table(
    ['IMAGE', 'NAME', 'STATE', 'SIZE', 'CHANGED', 'COMES BY'],
    items.map((it) => [
      it.id,
      it.name,
      it.stateReason ? `${it.state} (${it.stateReason})` : it.state,
      bytes(it.fileBytes),
      it.state === 'absent' ? null : ago(it.updatedAt, now),
      it.builder ? 'build' : 'import',
    ]),
  )

const build: Command = {
  name: 'image build',
  summary: 'build micro or debian-12 here, from Debian packages',
  positionals: ['IMAGE'],
  options: { ...WAIT_OPTIONS, ...JSON_OPTION },
  run: async (cli, args) => answer(cli, args, await cli.client.call('buildImage', { id: args.at.IMAGE! })),
}

const importImage: Command = {
  name: 'image import',
  summary: 'import a cloud image from a file here or a URL',
  positionals: ['FILE|URL'],
  options: {
    os: { type: 'string', value: 'IMAGE', help: 'which image of the catalogue it is, for example ubuntu-24.04' },
    sha256: { type: 'string', value: 'DIGEST', help: 'of the file as it comes; checked before anything reads it' },
    format: { type: 'string', value: 'qcow2|raw', help: 'never guessed; default qcow2' },
    ...WAIT_OPTIONS,
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const id = args.text('os')
    if (id === undefined) throw new CliError('usage', 'image import needs --os IMAGE; ./havn image list shows them')
    const format = args.text('format') ?? 'qcow2'
    if (format !== 'qcow2' && format !== 'raw') throw new CliError('usage', '--format is qcow2 or raw')
    const from = args.at['FILE|URL']!
    const isUrl = /^https?:\/\//i.test(from)
    if (!isUrl) await upload(cli, id, from)
    const sha256 = args.text('sha256')
    const accepted = await cli.client.call('importImage', {
      id,
      body: {
        source: isUrl ? { kind: 'url', url: from } : { kind: 'upload' },
        format,
        ...(sha256 !== undefined && { sha256 }),
      },
    })
    return answer(cli, args, accepted)
  },
}

async function upload(cli: Cli, id: string, file: string): Promise<void> {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (!stat?.isFile()) throw new CliError('usage', `there is no file ${file}`)
  cli.note(`uploading ${basename(file)}, ${bytes(stat.size)}`)
  const stream = Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>
  await cli.client.call('uploadImage', {
    id,
    raw: { stream, headers: { 'content-type': 'application/octet-stream', 'content-length': String(stat.size) } },
  })
}

const remove: Command = {
  name: 'image delete',
  summary: 'remove the installed file of an image',
  positionals: ['IMAGE'],
  options: JSON_OPTION,
  async run(cli, args) {
    const image = await cli.client.call('deleteImage', { id: args.at.IMAGE! })
    cli.print(args.flag('json') ? json(image) : `${image.id} is ${image.state}`)
    return undefined
  },
}

async function answer(cli: Cli, args: Args, accepted: ImageAccepted): Promise<undefined> {
  let { image, operation } = accepted
  if (args.flag('wait')) {
    operation = await follow(cli, operation, args)
    image = (await cli.client.call('listImages')).items.find(({ id }) => id === image.id) ?? image
  }
  if (args.flag('json')) cli.print(json({ image, operation }))
  else
    cli.print(
      args.flag('wait') ? `${image.id} is ${image.state}` : `${image.id} is ${image.state}; operation ${operation.id}`,
    )
  return undefined
}

export const imageCommands: readonly Command[] = [list, build, importImage, remove]
