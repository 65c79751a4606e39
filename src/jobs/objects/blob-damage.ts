/** Damage of the store that somebody met, in the log and as an incident that stays open until somebody closes it. */
import type { DamagedBlob } from '../../model/errors.ts'
import * as chunks from '../../store/backup-chunks.ts'
import * as blobs from '../../store/blobs.ts'
import type { Db } from '../../store/db.ts'
import * as incidents from '../../store/incidents.ts'

const NAMED_MAX = 20

/** For whoever met it while reading; what was let go of meanwhile is no damage. */
export async function noteDamage(db: Db, { id, kind }: DamagedBlob): Promise<void> {
  if ((await blobs.known(db, [id])).length > 0) await reportDamage({ db, log: () => {} }, kind, [id])
}

export async function reportDamage(
  { db, log }: { db: Db; log(message: string): void },
  kind: 'missing' | 'damaged',
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return
  await chunks.noteDamage(db, ids, `a part of it is ${kind} in the store`)
  const lines: string[] = []
  for (const id of ids.slice(0, NAMED_MAX)) {
    const places = await blobs.usersOf(db, id)
    lines.push(`${id} (${places.length === 0 ? 'of no object, but perhaps of an upload' : places.join(', ')})`)
  }
  const more = ids.length > NAMED_MAX ? ` and ${ids.length - NAMED_MAX} more` : ''
  const message = `${kind} blobs of object storage: ${lines.join('; ')}${more}`
  log(message)
  await incidents.open(db, { strandId: 'objects', kind: `blobs-${kind}`, step: 'audit', message })
}
