/** Hundreds of slow clients in the middle of large bodies: each costs a buffer, not an object. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { createFilesystemObjects } from '../../src/drivers/objects/filesystem.ts'
import { UNSIGNED_PAYLOAD } from '../../src/lib/sigv4.ts'
import { type SigningKeys, signHeaders } from '../../src/lib/sigv4-sign.ts'
import { bytesOf } from '../bytes.ts'
import { eventually } from '../eventually.ts'
import { createBareClient } from './s3/client.ts'
import { assertAllowed } from './s3/workload.ts'
import { openS3World, type S3Process } from './s3/world.ts'

const UPLOADS = 100
const DOWNLOADS = 100
const MIB = 1024 * 1024
const OBJECT_BYTES = 64 * MIB
/** What each has moved at least when we look: an upload to the disk, a download out of the socket. */
const UNDER_WAY_BYTES = 1 * MIB
const SENT_BYTES = 2 * MIB
const RESIDENT_MIB_MAX = 300

test(`${UPLOADS} slow uploads and ${DOWNLOADS} slow downloads`, async (t) => {
  const world = await openS3World(t)
  const [server] = world.servers
  const client = createBareClient(server!.url, world.keys)
  t.after(async () => client.close())
  assert.equal((await client.call('PUT', '/slow')).status, 200)
  const large = bytesOf('large', OBJECT_BYTES)
  assert.equal((await client.call('PUT', '/slow/large', { body: large })).status, 200)
  const idle = residentMib(server!.pid, 'VmRSS')

  const piece = bytesOf('piece', SENT_BYTES)
  const uploads = Array.from({ length: UPLOADS }, (_, index) => {
    const socket = open(server!)
    socket.write(head(server!, world.keys, 'PUT', `/slow/up${index}`, OBJECT_BYTES))
    socket.write(piece)
    return socket
  })
  const downloads = Array.from({ length: DOWNLOADS }, () => {
    const socket = open(server!)
    let received = 0
    socket.on('data', (bytes) => {
      received += bytes.length
      if (received > UNDER_WAY_BYTES) socket.pause()
    })
    socket.write(head(server!, world.keys, 'GET', '/slow/large'))
    return { socket, isUnderWay: () => received > UNDER_WAY_BYTES }
  })
  const sockets = [...uploads, ...downloads.map(({ socket }) => socket)]
  const hangUp = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.after(async () => hangUp())

  const store = createFilesystemObjects({ folder: world.context.paths.objects })
  await eventually('all are under way', async () => {
    const blobs = await Array.fromAsync(store.list())
    const uploading = blobs.filter(({ sizeBytes }) => sizeBytes >= UNDER_WAY_BYTES && sizeBytes < OBJECT_BYTES)
    return uploading.length === UPLOADS && downloads.every(({ isUnderWay }) => isUnderWay())
  })
  const peak = residentMib(server!.pid, 'VmHWM')
  t.diagnostic(`resident: ${idle} MiB before, ${peak} MiB at most`)
  assert.ok(peak < RESIDENT_MIB_MAX, `${peak} MiB`)

  // They go away without a word: nothing of theirs stays, and the server serves.
  hangUp()
  await eventually('the halves of uploads are gone', async () => (await Array.fromAsync(store.list())).length === 1)
  assert.equal((await client.call('GET', '/slow/up0')).status, 404)
  assertAllowed(await client.call('GET', '/slow/large'), 'large', [{ id: 'large', length: OBJECT_BYTES }])
})

function open(server: S3Process): Socket {
  const { hostname, port } = new URL(server.url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => {}) // the end of the test cuts them off
  return socket
}

function head(server: S3Process, keys: SigningKeys, method: string, path: string, length = 0): string {
  const { host } = new URL(server.url)
  const headers = signHeaders({ method, host, path }, UNSIGNED_PAYLOAD, keys)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}content-length: ${length}\r\n\r\n`
}

/** As proc(5) says: resident now, or at most so far. */
function residentMib(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return Math.round(Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)![1]) / 1024)
}
