/**
 * A small S3-compatible cluster in memory, for what drives one: one bucket `blobs`, and faults on demand. It knows the
 * protocol's plain form only, as old engines do, and checks every signature.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { canonicalRequest, sign, signingKey, stringToSign } from '../src/lib/sigv4.ts'

/** `reset`: the connection dies without an answer. `cut`: it dies in the middle of the body. Else what is answered. */
export type Fault = 'reset' | 'cut' | { status: number; code?: string }

export interface Cluster {
  options: {
    endpoint: string
    region: string
    bucket: string
    prefix: string
    accessKeyId: string
    secretAccessKey: string
  }
  objects: Map<string, { body: Buffer; modifiedAt: Date }>
  uploads: Map<string, { key: string; startedAt: Date; parts: Map<number, Buffer> }>
  /** Asked about every request: `PUT havn/ab12 ?partNumber,uploadId`. */
  fault: (request: string) => Fault | undefined
  requests: string[]
  /** Ends the connections that wait for their next request. */
  dropIdleConnections(): void
  close(): Promise<void>
}

const KEYS = { accessKeyId: 'AKCLUSTER', secretAccessKey: 'a secret of the cluster' }
const REGION = 'north-1'
const PAGE_KEYS = 5 // so that a list of a few has pages

export async function startCluster(): Promise<Cluster> {
  const server = createServer((request, response) => void handle(request, response, false))
  server.on('checkContinue', (request, response) => void handle(request, response, true))
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  const cluster: Cluster = {
    options: { endpoint: `http://127.0.0.1:${port}`, region: REGION, bucket: 'blobs', prefix: 'havn/', ...KEYS },
    objects: new Map(),
    uploads: new Map(),
    fault: () => undefined,
    requests: [],
    dropIdleConnections: () => server.closeIdleConnections(),
    async close() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
  return cluster

  async function handle(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    response.setHeader('x-amz-request-id', `CLUSTER${cluster.requests.length}`)
    request.on('error', () => {})
    try {
      const [path = '', search = ''] = (request.url ?? '').split('?')
      const query = new URLSearchParams(search)
      const [, bucket = '', ...rest] = decodeURIComponent(path).split('/')
      const key = rest.join('/')
      const what = `${request.method} ${key}${search && ` ?${[...query.keys()].join()}`}`
      cluster.requests.push(what)
      const fault = cluster.fault(what)
      if (fault === 'reset') return void request.socket.destroy()
      if (fault && fault !== 'cut') throw new Refusal(fault.status, fault.code ?? 'Injected')
      checkSignature(request, path, query)
      if (bucket !== 'blobs') throw new Refusal(404, 'NoSuchBucket')
      if (expectsContinue) response.writeContinue()
      await answer({ request, response, key, query, fault })
    } catch (error) {
      if (!(error instanceof Refusal)) return void request.socket.destroy()
      response.shouldKeepAlive = false
      const document = `<?xml version="1.0"?>\n<Error><Code>${error.code}</Code><Message>No &amp; no</Message></Error>`
      response.writeHead(error.status).end(request.method === 'HEAD' ? undefined : document)
    }
  }

  async function answer({ request, response, key, query, fault }: Call): Promise<void> {
    const { method } = request
    const xml = (name: string, inside: string) => void response.end(`<${name} xmlns="urn:s3">${inside}</${name}>`)
    const upload = cluster.uploads.get(query.get('uploadId') ?? '')
    if (key === '' && query.has('uploads')) {
      const all = [...cluster.uploads].map(
        ([id, { key, startedAt }]) =>
          `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${startedAt.toISOString()}</Initiated></Upload>`,
      )
      return xml('ListMultipartUploadsResult', all.join(''))
    }
    if (key === '') return xml('ListBucketResult', listing(query))
    if (query.has('uploadId') && !upload) throw new Refusal(404, 'NoSuchUpload')
    if (method === 'POST' && query.has('uploads')) {
      const id = randomBytes(8).toString('hex')
      cluster.uploads.set(id, { key, startedAt: new Date(), parts: new Map() })
      return xml('InitiateMultipartUploadResult', `<UploadId>${id}</UploadId>`)
    }
    if (method === 'POST' && upload) {
      const asked = String(await bodyOf(request)).matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)
      const parts = [...asked].map(([, number]) => upload.parts.get(Number(number)) ?? Buffer.alloc(0))
      if (parts.slice(0, -1).some((part) => part.length < 5 * 1024 * 1024)) throw new Refusal(400, 'EntityTooSmall')
      // Long work says 200 first.
      if (fault === 'cut') return xml('Error', '<Code>InternalError</Code>')
      cluster.objects.set(key, { body: Buffer.concat(parts), modifiedAt: new Date() })
      cluster.uploads.delete(query.get('uploadId') ?? '')
      return xml('CompleteMultipartUploadResult', '')
    }
    if (method === 'PUT') {
      if (request.headers['if-none-match'] === '*' && cluster.objects.has(key)) {
        throw new Refusal(412, 'PreconditionFailed')
      }
      if (fault === 'cut') return void request.once('data', () => request.socket.destroy())
      const body = await bodyOf(request)
      if (upload) upload.parts.set(Number(query.get('partNumber')), body)
      else cluster.objects.set(key, { body, modifiedAt: new Date() })
      return void response.setHeader('etag', `"${createHash('md5').update(body).digest('hex')}"`).end()
    }
    if (method === 'DELETE') {
      if (upload) cluster.uploads.delete(query.get('uploadId') ?? '')
      else cluster.objects.delete(key)
      return void response.writeHead(204).end()
    }
    const object = cluster.objects.get(key)
    if (!object) throw new Refusal(404, 'NoSuchKey')
    sendObject(request, response, object.body, fault)
  }

  function listing(query: URLSearchParams): string {
    if (query.get('list-type') !== '2') throw new Refusal(400, 'InvalidArgument')
    const after = query.get('continuation-token') ?? ''
    const keys = [...cluster.objects.keys()].filter((key) => key.startsWith(query.get('prefix') ?? '')).sort()
    const left = keys.filter((key) => key > after)
    const page = left.slice(0, PAGE_KEYS)
    const entries = page.map((key) => {
      const { body, modifiedAt } = cluster.objects.get(key)!
      const facts = `<LastModified>${modifiedAt.toISOString()}</LastModified><Size>${body.length}</Size>`
      return `<Contents><Key>${key}</Key>${facts}<Owner><ID>1</ID></Owner></Contents>`
    })
    const isTruncated = left.length > page.length
    const token = isTruncated ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ''
    return `<IsTruncated>${isTruncated}</IsTruncated>${token}${entries.join('')}`
  }
}

interface Call {
  request: IncomingMessage
  response: ServerResponse
  key: string
  query: URLSearchParams
  fault: Fault | undefined
}

class Refusal extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string) {
    super(code)
    this.status = status
    this.code = code
  }
}

function sendObject(request: IncomingMessage, response: ServerResponse, body: Buffer, fault?: Fault): void {
  const [, from, to] = request.headers.range?.match(/^bytes=(\d+)-(\d+)$/) ?? []
  const start = Number(from ?? 0)
  const end = Math.min(Number(to ?? body.length - 1), body.length - 1)
  if (from !== undefined && start > end) throw new Refusal(416, 'InvalidRange')
  if (from !== undefined) response.setHeader('content-range', `bytes ${start}-${end}/${body.length}`)
  response.writeHead(from === undefined ? 200 : 206, { 'content-length': String(end - start + 1) })
  if (request.method === 'HEAD') return void response.end()
  if (fault !== 'cut') return void response.end(body.subarray(start, end + 1))
  response.write(body.subarray(start, start + Math.ceil((end - start) / 2)), () => request.socket.destroy())
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece)
  return Buffer.concat(pieces)
}

function checkSignature({ method = '', headers }: IncomingMessage, path: string, query: URLSearchParams): void {
  const { authorization = '' } = headers
  const [, accessKeyId, date = '', region = '', names = '', signature] =
    authorization.match(
      /Credential=([^/]+)\/(\d+)\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)/,
    ) ?? []
  if (accessKeyId !== KEYS.accessKeyId) throw new Refusal(403, 'InvalidAccessKeyId')
  const canonical = canonicalRequest({
    method,
    path,
    query: [...query],
    headers: headers as Record<string, string>,
    signedHeaders: names.split(';'),
    payloadHash: String(headers['x-amz-content-sha256']),
  })
  const scope = { date, region, service: 's3' }
  const text = stringToSign(canonical, String(headers['x-amz-date']), scope)
  const isRight = region === REGION && sign(signingKey(KEYS.secretAccessKey, scope), text) === signature
  if (!isRight) throw new Refusal(403, 'SignatureDoesNotMatch')
}
