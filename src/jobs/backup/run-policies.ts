/**
 * Begins the backups that policies call for. A firing happens once, however many workers look: under the instance's lock
 * it becomes a backup that carries its moment, and the policy's next moment lies in the future. What was missed while
 * nothing ran, or while the instance could not be backed up, is made up for by one. A clock that went forth and back
 * neither repeats a firing nor puts one off.
 */
import type { InstanceId } from '../../model/ids.ts'
import * as policies from '../../store/backup-policies.ts'
import type { Db } from '../../store/db.ts'
import * as instances from '../../store/instances.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import { beginBackup } from './begin.ts'

const AT_ONCE = 100

export const runPolicies: Reconciler<{ db: Db }> = {
  name: 'backups.policies',
  everyMs: 15_000,
  async run({ db }, signal) {
    for (const id of await policies.strayed(db, AT_ONCE)) {
      await db.transaction().execute(async (tx) => {
        await instances.lock(tx, id)
        await policies.setAnew(tx, id)
      })
    }
    // One that cannot be begun stands in no other's way.
    const failures = new Map<InstanceId, unknown>()
    for (let isMore = true; isMore; ) {
      const due = await policies.due(db, AT_ONCE, [...failures.keys()])
      for (const id of due) {
        signal.throwIfAborted()
        await fire(db, id).catch((error) => failures.set(id, error))
      }
      isMore = due.length === AT_ONCE
    }
    if (failures.size > 0)
      throw new AggregateError(failures.values(), `backups due of ${[...failures.keys()].join(', ')}`)
  },
}

const fire = (db: Db, id: InstanceId): Promise<void> =>
  db.transaction().execute(async (tx) => {
    const instance = await instances.lock(tx, id)
    const policy = await policies.findDue(tx, id)
    if (!policy) return
    await policies.noteFired(tx, id, policy.schedule)
    if (await policies.hasFired(tx, id, policy.nextAt)) return
    const wish = { kind: 'automatic', label: null, policyDueAt: policy.nextAt, requestId: null } as const
    await beginBackup(tx, instance, wish)
  })
