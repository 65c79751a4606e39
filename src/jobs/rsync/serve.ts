/** Lets those in who have a file backup account, and removes the files of instances that were purged. */
import type { RsyncServer } from '../../drivers/rsync/rsync.ts'
import type { Db } from '../../store/db.ts'
import * as accounts from '../../store/rsync-accounts.ts'
import type { Reconciler } from '../engine/reconciler.ts'

export const serveRsync = (rsync: RsyncServer): Reconciler<{ db: Db }> => ({
  name: 'rsync.serve',
  everyMs: 1_000,
  async run({ db }) {
    await rsync.serve(await accounts.served(db))
    for (const { username } of await accounts.released(db)) {
      await rsync.ensureAbsent(username)
      await accounts.forget(db, username)
    }
  },
})
