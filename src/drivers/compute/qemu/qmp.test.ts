/** The client against a real QEMU without a machine, and against sockets that misbehave. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { waitFor } from '../../../lib/wait.ts'
import { connectQmp, QmpError, type QmpEvent, QmpGone } from './qmp.ts'

const folder = mkdtempSync(join(tmpdir(), 'qmp-'))
after(() => rmSync(folder, { recursive: true, force: true }))

describe('with a real QEMU', () => {
  const path = join(folder, 'q')
  let qemu: ChildProcess
  before(async () => {
    qemu = spawn('qemu-system-x86_64', ['-machine', 'none', '-nodefaults', '-display', 'none', '-S'].concat(
      ['-qmp', `unix:${path},server=on,wait=off`],
    ), { stdio: 'inherit' }) // biome-ignore format: one call
    const first = await waitFor(() => connectQmp(path).catch(() => null), { timeoutMs: 20_000, everyMs: 5 })
    assert.ok(first)
    first.close()
  })
  after(() => qemu.kill('SIGKILL'))

  test('commands, errors and events', async () => {
    const events: QmpEvent[] = []
    const qmp = await connectQmp(path, { onEvent: (event) => events.push(event) })
    const [status, version] = await Promise.all([
      qmp.execute<{ status: string }>('query-status'),
      qmp.execute<{ qemu: { major: number } }>('query-version'),
    ])
    assert.equal(status.status, 'prelaunch')
    assert.ok(version.qemu.major >= 5)
    await assert.rejects(qmp.execute('no-such-command'), (error: QmpError) => error.kind === 'CommandNotFound')
    await assert.rejects(qmp.execute('device_del', { id: 'nothing' }), QmpError)
    await qmp.execute('cont')
    await qmp.execute('stop')
    assert.deepEqual(
      events.map(({ event }) => event),
      ['RESUME', 'STOP'],
    )
    qmp.close()
  })

  test('a second client hears nothing and says so in time; the socket is free once the first is gone', async () => {
    const first = await connectQmp(path)
    await assert.rejects(connectQmp(path, { greetingMs: 200 }), QmpGone)
    first.close()
    const second = await connectQmp(path)
    assert.equal((await second.execute<{ running: boolean }>('query-status')).running, false)
    second.close()
    await assert.rejects(second.execute('query-status'), QmpGone)
  })

  test('its death ends what waits and is told once', async () => {
    let closed = 0
    const qmp = await connectQmp(path, { onClose: () => closed++ })
    const gone = once(qemu, 'exit')
    qemu.kill('SIGKILL')
    await assert.rejects(qmp.execute('query-status'), QmpGone)
    await gone
    assert.ok(await waitFor(() => closed > 0, { timeoutMs: 5_000, everyMs: 5 }))
    qmp.close()
    assert.equal(closed, 1)
    assert.equal(qmp.isOpen, false)
  })
})

describe('with sockets that misbehave', () => {
  const servers: Server[] = []
  after(() => servers.map((server) => server.close()))
  async function serve(name: string, talk: (socket: Socket) => void): Promise<string> {
    const path = join(folder, name)
    const server = createServer(talk).listen(path)
    servers.push(server)
    await once(server, 'listening')
    return path
  }
  const greet = (socket: Socket) => socket.write('{"QMP": {"version": {}, "capabilities": []}}\r\n')
  const greetAndAgree = (socket: Socket, answer: (id: number) => void) => {
    greet(socket)
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().trim().split('\r\n')) {
        const { id, execute } = JSON.parse(line) as { id: number; execute: string }
        if (execute === 'qmp_capabilities') socket.write(`{"return": {}, "id": ${id}}\r\n`)
        else answer(id)
      }
    })
  }

  test('answers in pieces, out of order, with events between them', async () => {
    const path = await serve('pieces', (socket) => {
      const ids: number[] = []
      greetAndAgree(socket, (id) => {
        ids.push(id)
        if (ids.length < 2) return
        socket.write(`{"return": "second", "id": ${ids[1]}}\r\n{"event": "STOP", "timestamp": {}}\r\n{"return": "fi`)
        setImmediate(() => socket.write(`rst", "id": ${ids[0]}}\r\n`))
      })
    })
    const events: string[] = []
    const qmp = await connectQmp(path, { onEvent: ({ event }) => events.push(event) })
    assert.deepEqual(await Promise.all([qmp.execute('a'), qmp.execute('b')]), ['first', 'second'])
    assert.deepEqual(events, ['STOP'])
    qmp.close()
  })

  test('a command has a deadline; the connection goes on', async () => {
    let count = 0
    const path = await serve('slow', (socket) =>
      greetAndAgree(socket, (id) => {
        if (count++ > 0) socket.write(`{"return": 1, "id": ${id - 1}}\r\n{"return": 2, "id": ${id}}\r\n`)
      }),
    )
    const qmp = await connectQmp(path)
    await assert.rejects(qmp.execute('slow', {}, 50), QmpGone)
    assert.equal(await qmp.execute('next'), 2)
    qmp.close()
  })

  test('what is no QMP, and nobody at all', async () => {
    const path = await serve('noise', (socket) => greetAndAgree(socket, () => socket.write('what?\r\n')))
    const qmp = await connectQmp(path)
    await assert.rejects(qmp.execute('query-status'), QmpGone)
    await assert.rejects(connectQmp(join(folder, 'nobody')), QmpGone)
  })
})
