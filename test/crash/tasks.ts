/** Detached tasks as a table: each is done after it was looked at twice, or dies, or fails, as a story wants it. */
import type { TaskStatus, TaskTools } from '../../src/jobs/tools.ts'

export interface ScriptedTasks extends TaskTools {
  /** How the tasks that start from now on end. */
  endWith(end: 'done' | 'failed' | 'vanished once'): void
  /** What is left; empty when every strand cleaned up. */
  left(): string[]
}

export function scriptTasks(): ScriptedTasks {
  const tasks = new Map<string, { looks: number; end: 'done' | 'failed' | 'vanished once' }>()
  let next: 'done' | 'failed' | 'vanished once' = 'done'
  return {
    endWith(end) {
      next = end
    },
    left: () => [...tasks.keys()],
    async ensureStarted(id) {
      const task = tasks.get(id)
      if (!task) tasks.set(id, { looks: 0, end: next })
      else if (task.end === 'vanished once') task.end = 'done'
    },
    async read(id): Promise<TaskStatus> {
      const task = tasks.get(id)
      if (!task) return { state: 'absent', percent: null, message: null }
      task.looks++
      if (task.looks < 2) return { state: 'running', percent: 50, message: 'half of it' }
      if (task.end === 'vanished once') return { state: 'vanished', percent: null, message: null }
      if (task.end === 'failed') {
        return { state: 'failed', percent: null, message: null, error: { code: 'invalid', message: 'not an image' } }
      }
      const value = { digest: 'd'.repeat(64), virtualBytes: 1, bytes: 1 }
      return { state: 'done', percent: 100, message: null, value }
    },
    async reset(id) {
      tasks.delete(id)
    },
    async remove(id) {
      tasks.delete(id)
    },
  }
}
