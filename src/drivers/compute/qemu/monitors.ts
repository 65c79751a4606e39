/**
 * The QMP connections of running instances. The driver that owns the host (it was opened) keeps one to each, for their
 * events; any other reader borrows the second socket for a moment, so that both never wait for each other.
 */
import { join } from 'node:path'
import type { InstanceId } from '../../../model/ids.ts'
import { SOCKETS } from './args.ts'
import { connectQmp, type Qmp, QmpGone } from './qmp.ts'

/** Events after which the instance's power is another than before. */
const TELLING = new Set(['SHUTDOWN', 'STOP', 'RESUME', 'GUEST_PANICKED', 'BLOCK_IO_ERROR'])

export interface MonitorsOptions {
  runOf: (id: InstanceId) => string
  onEvent: (id: InstanceId) => void
  /** The connection ended without `drop`: the process most likely did too. */
  onLost: (id: InstanceId) => void
}

export function createMonitors({ runOf, onEvent, onLost }: MonitorsOptions) {
  const kept = new Map<InstanceId, Qmp>()
  const connecting = new Map<InstanceId, Promise<Qmp>>()
  let isOwner = false

  async function connect(id: InstanceId, greetingMs?: number): Promise<Qmp> {
    let qmp: Qmp | null = null
    qmp = await connectQmp(join(runOf(id), SOCKETS.qmp), {
      ...(greetingMs && { greetingMs }),
      onEvent: ({ event }) => TELLING.has(event) && kept.has(id) && onEvent(id),
      onClose: () => {
        if (qmp === null || kept.get(id) !== qmp) return
        kept.delete(id)
        onLost(id)
      },
    })
    kept.set(id, qmp)
    return qmp
  }

  /** The kept connection, made if need be; at once, or as soon as the socket of a starting process answers. */
  function keep(id: InstanceId, greetingMs?: number): Promise<Qmp> {
    const have = kept.get(id)
    if (have?.isOpen) return Promise.resolve(have)
    const pending = connecting.get(id)
    if (pending) return pending
    const made = connect(id, greetingMs).finally(() => connecting.delete(id))
    connecting.set(id, made)
    return made
  }

  return {
    keep,
    ids: (): InstanceId[] => [...kept.keys()],
    /** From now on `use` keeps its connections. */
    own: () => {
      isOwner = true
    },
    /** Throws `QmpGone` when the process does not answer on either socket. */
    async use<T>(id: InstanceId, act: (qmp: Qmp) => Promise<T>): Promise<T> {
      if (isOwner) {
        const qmp = await keep(id).catch((error: unknown) => {
          if (error instanceof QmpGone) return null // somebody holds it, perhaps our predecessor that is just dying
          throw error
        })
        if (qmp) return act(qmp)
      }
      let qmp: Qmp | null = null
      qmp = await connectQmp(join(runOf(id), SOCKETS.tools))
      try {
        return await act(qmp)
      } finally {
        qmp.close()
      }
    },
    /** The connection stays open for whoever uses it now, but its end is no news any more. */
    release(id: InstanceId): void {
      kept.delete(id)
    },
    drop(id: InstanceId): void {
      const qmp = kept.get(id)
      kept.delete(id)
      qmp?.close()
    },
    close(): void {
      isOwner = false
      const all = [...kept.values()]
      kept.clear()
      for (const qmp of all) qmp.close()
    },
  }
}
export type Monitors = ReturnType<typeof createMonitors>
