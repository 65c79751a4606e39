/**
 * One detached task: `node task.ts RUN_FOLDER`. Started by drivers/tasks; outlives whoever started it. It loads no more
 * than its own program needs: an incremental backup is done in less time than loading all of them takes.
 */
import { runTask } from '../drivers/tasks/child.ts'

const folder = process.argv[2]
if (!folder) throw new Error('usage: task.ts RUN_FOLDER')
await runTask(folder, {
  'image-build': async (...task) => (await import('./image-tasks.ts')).build(...task),
  'image-import': async (...task) => (await import('./image-tasks.ts')).bringIn(...task),
  'image-from-backup': async (...task) => (await import('./backup-tasks.ts')).convert(...task),
  'backup-upload': async (...task) => (await import('./backup-tasks.ts')).upload(...task),
  'backup-restore': async (...task) => (await import('./backup-tasks.ts')).restore(...task),
})
