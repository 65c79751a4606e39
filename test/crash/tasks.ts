/** Detached tasks as a table: each is done after it was looked at twice, or dies, or fails, as a story wants it. */
import { randomBytes, randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import type { BackupTools, TaskStatus, TaskTools } from '../../src/jobs/tools.ts'
import type { ErrorCode } from '../../src/model/errors.ts'
import type { ListedChunk, StoredChunk } from '../../src/store/backup-chunks.ts'

/** `gone`: the export ends under it, whenever. `away twice`: the store does not answer. `never`: it goes on and on. */
export type TaskEnd = 'done' | 'failed' | 'vanished once' | 'gone once' | 'gone' | 'away twice' | 'never'

export interface ScriptedTasks extends TaskTools {
  /** How the tasks that start from now on end. */
  endWith(end: TaskEnd): void
  /** What the disks hold that are restored from now on. */
  restoring(text: string): void
  /** What uploads are told and hand over. */
  backups: BackupTools
  /** What is left; empty when every strand cleaned up. */
  left(): string[]
}

interface Task {
  looks: number
  end: TaskEnd
  program: string
  input: Record<string, unknown>
}

/** Failures that another start does not meet again, and how often each is met. */
const PASSING: Partial<Record<TaskEnd, { times: number; code: ErrorCode }>> = {
  'gone once': { times: 1, code: 'not_found' },
  gone: { times: Number.POSITIVE_INFINITY, code: 'not_found' },
  'away twice': { times: 2, code: 'unavailable' },
}

export function scriptTasks(): ScriptedTasks {
  const tasks = new Map<string, Task>()
  const failures = new Map<string, number>()
  const known = new Map<string, StoredChunk[]>()
  const lists = new Map<string, (ListedChunk | null)[]>()
  let next: TaskEnd = 'done'
  let restored = ''

  /** Two chunks that are known, if there are any, a hole, and a new one. */
  function upload(id: string): unknown {
    const found = (known.get(id) ?? []).slice(0, 2).map((chunk) => ({ ...chunk, md5: null, isNew: false }))
    if (!lists.has(id)) lists.set(id, [...found, null, newChunk()])
    return {
      manifestBlobId: blobId(),
      manifestBytes: 100,
      manifestMd5: 'a'.repeat(32),
      chunkListFile: id,
      ...{ dataBytes: 1, readBytes: 1, storedBytes: 1, addedBytes: 1, addedChunks: 1 },
    }
  }

  /** The file is there only now: before, a disk that is half written would be taken for a whole one. */
  function restore({ file }: Record<string, unknown>): unknown {
    writeFileSync(file as string, restored)
    return { diskBytes: 1, writtenBytes: 1, chunks: 1, ms: 1 }
  }

  function handOver({ program, input }: Task, id: string): unknown {
    if (program === 'backup-upload') return upload(id)
    if (program === 'backup-restore') return restore(input)
    return { digest: 'd'.repeat(64), virtualBytes: 1, bytes: 1 }
  }

  return {
    endWith(end) {
      next = end
    },
    restoring(text) {
      restored = text
    },
    left: () => [...tasks.keys(), ...known.keys()],
    backups: {
      newKey: () => randomBytes(32),
      async writeKnown(id, chunks) {
        const all: StoredChunk[] = []
        for await (const chunk of chunks) all.push(chunk)
        known.set(id, all)
        return id
      },
      async *readList(file) {
        yield* lists.get(file)!
      },
      async remove(id) {
        known.delete(id)
      },
    },
    async ensureStarted(id, program, input) {
      const task = tasks.get(id)
      if (!task) tasks.set(id, { looks: 0, end: next, program, input: input as Record<string, unknown> })
      else if (task.end === 'vanished once') task.end = 'done'
    },
    async read(id): Promise<TaskStatus> {
      const task = tasks.get(id)
      if (!task) return { state: 'absent', percent: null, message: null }
      task.looks++
      if (task.looks < 2 || task.end === 'never') return { state: 'running', percent: 50, message: 'half of it' }
      if (task.end === 'vanished once') return { state: 'vanished', percent: null, message: null }
      const passing = PASSING[task.end]
      if (passing && (failures.get(id) ?? 0) < passing.times) {
        return fails(passing.code, 'it passes')
      }
      if (task.end === 'failed') return fails('invalid', 'not an image')
      return { state: 'done', percent: 100, message: null, value: handOver(task, id) }
    },
    async reset(id) {
      const task = tasks.get(id)
      if (task && PASSING[task.end]) failures.set(id, (failures.get(id) ?? 0) + 1)
      tasks.delete(id)
    },
    async remove(id) {
      tasks.delete(id)
      lists.delete(id)
    },
  }
}

const fails = (code: ErrorCode, message: string): TaskStatus => ({
  state: 'failed',
  percent: null,
  message: null,
  error: { code, message },
})
const blobId = () => randomUUID().replaceAll('-', '')
const newChunk = (): ListedChunk => ({
  digest: randomBytes(32),
  blobId: blobId(),
  storedBytes: 1_000,
  md5: randomBytes(16),
  isNew: true,
})
