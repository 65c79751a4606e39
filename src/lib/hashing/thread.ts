/** One hashing thread as its owner sees it. Messages are answered in the order they were sent. */
import { Worker } from 'node:worker_threads'
import type { ToThread } from './worker.ts'

export interface Thread {
  /** Streams that were started here and neither digested nor discarded. */
  streams: number
  post(message: ToThread): void
  /** Posts and waits for the answer; rejects when the thread is dead or dies. */
  ask(message: ToThread): Promise<unknown>
  end(): Promise<void>
}

/** `onEnd` is called once, whatever ended it. */
export function startThread(entry: string, onEnd: (thread: Thread) => void): Thread {
  const worker = new Worker(entry, { execArgv: [] })
  const waiting: { resolve(answer: unknown): void; reject(error: Error): void }[] = []
  let ended: Error | null = null

  const endWith = (error: Error) => {
    if (ended) return
    ended = error
    for (const { reject } of waiting.splice(0)) reject(error)
    onEnd(thread)
  }
  // Only a question that waits for its answer keeps the process alive.
  worker.unref()
  worker.on('message', (answer) => {
    waiting.shift()?.resolve(answer)
    if (waiting.length === 0) worker.unref()
  })
  worker.on('error', (error) => endWith(new Error('a hashing thread failed', { cause: error })))
  worker.on('messageerror', (error) => void worker.terminate().then(() => endWith(error)))
  worker.on('exit', (status) => endWith(new Error(`a hashing thread ended with ${status}`)))

  const thread: Thread = {
    streams: 0,
    post(message) {
      if (!ended) worker.postMessage(message)
    },
    ask(message) {
      return new Promise((resolve, reject) => {
        if (ended) return reject(ended)
        if (waiting.push({ resolve, reject }) === 1) worker.ref()
        worker.postMessage(message)
      })
    },
    async end() {
      await worker.terminate()
    },
  }
  return thread
}
