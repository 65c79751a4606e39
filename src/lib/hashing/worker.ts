/** The inside of a hashing thread: keeps the streams it was given apart by their number and answers in order. */
import { parentPort } from 'node:worker_threads'
import { createDigester, type Digester, type DigestName } from './digests.ts'

export type ToThread =
  | { do: 'start'; stream: number; names: readonly DigestName[] }
  /** Answered with `null` once the bytes may be overwritten. Those over a SharedArrayBuffer are not copied. */
  | { do: 'update'; stream: number; bytes: Uint8Array }
  /** Answered with the digests. */
  | { do: 'digest'; stream: number }
  | { do: 'discard'; stream: number }

const streams = new Map<number, Digester<DigestName>>()

parentPort?.on('message', (message: ToThread) => {
  switch (message.do) {
    case 'start':
      streams.set(message.stream, createDigester(message.names))
      break
    case 'update':
      streams.get(message.stream)?.update(message.bytes)
      parentPort?.postMessage(null)
      break
    case 'digest':
      parentPort?.postMessage(streams.get(message.stream)?.digest())
      streams.delete(message.stream)
      break
    case 'discard':
      streams.delete(message.stream)
  }
})
