import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { serveDisk, writePattern } from '../../test/qemu-nbd.ts'
import { connectNbd, NbdError, type NbdOptions } from './nbd.ts'
import { run } from './run.ts'

const MIB = 1024 * 1024
const BITMAP = 'qemu:dirty-bitmap:mark'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'nbd-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

async function connected(t: TestContext, options: NbdOptions) {
  const client = await connectNbd(options)
  t.after(() => client.close())
  return client
}

test('reads an export of qemu-nbd, many requests at once, and learns what holds data and what changed', async (t) => {
  const file = join(await folder(t), 'disk.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', file, '64M'])
  await writePattern(file, 8 * MIB, 4 * MIB, 0x11)
  await run('qemu-img', ['bitmap', '--add', '-f', 'qcow2', file, 'mark'])
  await writePattern(file, 10 * MIB, MIB, 0x22)
  const server = await serveDisk(t, { file, format: 'qcow2', bitmap: 'mark' })
  const client = await connected(t, { ...server, contexts: ['base:allocation', BITMAP, 'qemu:dirty-bitmap:other'] })
  assert.equal(client.sizeBytes, 64 * MIB)
  assert.deepEqual(client.contexts, ['base:allocation', BITMAP])

  const status = await client.blockStatus(0, 64 * MIB)
  const stretches = (name: string, isWanted: (flags: number) => boolean) => {
    let at = 0
    return (status.get(name) ?? []).flatMap(({ length, flags }) => {
      at += length
      return isWanted(flags) ? [[(at - length) / MIB, length / MIB]] : []
    })
  }
  assert.deepEqual(
    stretches('base:allocation', (flags) => (flags & 2) === 0),
    [[8, 4]],
  )
  assert.deepEqual(
    stretches(BITMAP, (flags) => (flags & 1) !== 0),
    [[10, 1]],
  )

  const reads = Array.from({ length: 16 }, async (_, index) => {
    const bytes = Buffer.alloc(3 * MIB, 0xff)
    await client.read(index * 3 * MIB, bytes)
    return bytes
  })
  const whole = Buffer.concat(await Promise.all(reads))
  const expected = Buffer.alloc(48 * MIB)
  expected.fill(0x11, 8 * MIB, 12 * MIB).fill(0x22, 10 * MIB, 11 * MIB)
  assert.ok(whole.equals(expected))

  await assert.rejects(client.read(64 * MIB - 512, Buffer.alloc(1024)), { name: 'NbdError', isOver: false })
  const odd = Buffer.alloc(700)
  await client.read(8 * MIB - 350, odd)
  assert.ok(odd.equals(expected.subarray(8 * MIB - 350, 8 * MIB + 350)), 'it need not be sectors')
})

test('an export that is not there, and a server that is not there', async (t) => {
  const file = join(await folder(t), 'disk.raw')
  await run('qemu-img', ['create', '-q', '-f', 'raw', file, '1M'])
  const { socket, stop, exportName } = await serveDisk(t, { file, format: 'raw' })
  await assert.rejects(connectNbd({ socket, exportName: 'other' }), /refuses the export "other"/)
  const client = await connected(t, { socket, exportName })
  await stop()
  await assert.rejects(client.read(0, Buffer.alloc(512)), { name: 'NbdError', isOver: true })
  await assert.rejects(connectNbd({ socket, exportName }), { name: 'NbdError', isOver: true })
})

/** A server that does as told from the greeting on: it gets what the client sends, and answers what the story wants. */
async function fakeServer(
  t: TestContext,
  onData: (socket: Socket, bytes: Buffer, turn: number) => void,
): Promise<string> {
  const socket = join(await folder(t), 'sock')
  const sockets: Socket[] = []
  const server = createServer((client) => {
    let turn = 0
    sockets.push(client)
    client.on('error', () => {})
    client.write('NBDMAGICIHAVEOPT\0\x03')
    client.on('data', (bytes) => onData(client, bytes as Buffer, turn++))
  })
  await new Promise<void>((listening) => server.listen(socket, listening))
  t.after(async () => {
    for (const client of sockets) client.destroy()
    await new Promise((closed) => server.close(closed))
  })
  return socket
}

const u16 = (value: number) => Buffer.of(value >> 8, value & 255)
const u32 = (value: number) => Buffer.concat([u16(value >>> 16), u16(value & 0xffff)])
const u64 = (value: number) => Buffer.concat([u32(Math.floor(value / 2 ** 32)), u32(value >>> 0)])
const reply = (option: number, type: number, data = Buffer.alloc(0), length = data.length) =>
  Buffer.concat([Buffer.from('0003e889045565a9', 'hex'), u32(option), u32(type), u32(length), data])
const AGREED = reply(8, 1)
const GONE = Buffer.concat([reply(7, 3, Buffer.concat([u16(0), u64(MIB), u16(1)])), reply(7, 1)])
const chunk = (cookie: Buffer, flags: number, type: number, data: Buffer, length = data.length) =>
  Buffer.concat([Buffer.from('668e33ef', 'hex'), u16(flags), u16(type), cookie, u32(length), data])

/** Negotiates, then answers the first read of 512 bytes with `answer`. */
async function readFrom(t: TestContext, answer: (cookie: Buffer) => Buffer) {
  let seen = Buffer.alloc(0)
  const socket = await fakeServer(t, (client, bytes, turn) => {
    if (turn === 0) client.write(Buffer.concat([AGREED, GONE]))
    seen = Buffer.concat([seen, bytes])
    const at = seen.indexOf(Buffer.from('25609513', 'hex'))
    if (at >= 0 && seen.length >= at + 28) client.write(answer(seen.subarray(at + 8, at + 16)))
  })
  const client = await connected(t, { socket, exportName: 'x', timeoutMs: 2_000 })
  const into = Buffer.alloc(512)
  await client.read(0, into)
  return into
}

test('pieces of an answer may come in any order, with holes', async (t) => {
  const into = await readFrom(t, (cookie) =>
    Buffer.concat([
      chunk(cookie, 0, 2, Buffer.concat([u64(128), u32(384)])),
      chunk(cookie, 1, 1, Buffer.concat([u64(0), Buffer.alloc(128, 7)])),
    ]),
  )
  assert.ok(into.equals(Buffer.concat([Buffer.alloc(128, 7), Buffer.alloc(384)])))
})

const LIES: Record<string, [(cookie: Buffer) => Buffer, RegExp]> = {
  'less than was asked': [(c) => chunk(c, 1, 1, Buffer.concat([u64(0), Buffer.alloc(100)])), /100 of 512 bytes/],
  'more than was asked': [(c) => chunk(c, 1, 1, u64(0), 2 ** 31), /not asked for/],
  'something before the read': [(c) => chunk(c, 1, 2, Buffer.concat([u64(2 ** 40), u32(512)])), /more than was asked/],
  'an answer to nothing': [() => chunk(u64(999), 1, 0, Buffer.alloc(0)), /never made/],
  'extents for a read': [(c) => chunk(c, 1, 5, Buffer.alloc(12)), /extents/],
  'another protocol': [() => Buffer.alloc(64, 0x41), /./],
  'a long error': [(c) => chunk(c, 1, 0x8001, Buffer.alloc(6), 2 ** 30), /error in/],
}
for (const [what, [answer, message]] of Object.entries(LIES)) {
  test(`a server that sends ${what} is left`, async (t) => {
    await assert.rejects(readFrom(t, answer), (error: NbdError) => {
      return error instanceof NbdError && error.isOver && message.test(error.message)
    })
  })
}

test('an error is of one request, and the next may succeed', async (t) => {
  await assert.rejects(
    readFrom(t, (cookie) => chunk(cookie, 1, 0x8001, Buffer.concat([u32(5), u16(4), Buffer.from('oops')]))),
    { isOver: false, message: 'the NBD server refuses with error 5: oops' },
  )
})

test('a server that says nothing, says too much, or begins otherwise', async (t) => {
  const silent = await fakeServer(t, () => {})
  await assert.rejects(connectNbd({ socket: silent, exportName: 'x', timeoutMs: 200 }), /did not answer within 200 ms/)
  const stalls = await fakeServer(t, (client, _bytes, turn) => {
    if (turn === 0) client.write(Buffer.concat([AGREED, GONE]))
  })
  const client = await connected(t, { socket: stalls, exportName: 'x', timeoutMs: 200 })
  await assert.rejects(client.read(0, Buffer.alloc(512)), { isOver: true })
  await assert.rejects(client.read(0, Buffer.alloc(512)), { isOver: true })
  const long = await fakeServer(t, (to) => to.write(reply(8, 1, Buffer.alloc(0), 2 ** 31)))
  await assert.rejects(connectNbd({ socket: long, exportName: 'x' }), /answers with 2147483648 bytes/)
  const endless = await fakeServer(t, (to) => to.write(Buffer.concat(Array.from({ length: 100 }, () => reply(8, 3)))))
  await assert.rejects(connectNbd({ socket: endless, exportName: 'x' }), /does not come to an end/)
})
