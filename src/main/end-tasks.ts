/** Image builds and imports end with the control plane; their strands start them again at the next `up`. */
import { createTasks } from '../drivers/tasks/tasks.ts'
import type { Paths } from '../lib/paths.ts'

export async function endTasks(paths: Paths, say: (line: string) => void): Promise<void> {
  const tasks = createTasks({ folder: paths.tasks })
  for (const id of await tasks.list()) {
    if ((await tasks.read(id)).state !== 'running') continue
    say(`ending ${id}; the next ./havn up begins it again`)
    await tasks.cancel(id)
  }
}
