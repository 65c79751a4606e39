/** A link with which anybody takes a backup away as a disk image; images.ts serves it. */
import { layoutQcow2 } from '../../lib/qcow2.ts'
import { CHUNK_BYTES } from '../../model/backup.ts'
import { CloudError } from '../../model/errors.ts'
import * as downloads from '../../store/backup-downloads.ts'
import { now } from '../../store/db.ts'
import type { Ctx } from '../ctx.ts'
import * as backups from './backups.ts'
import { signLink } from './signature.ts'

export interface DownloadLink {
  /** Whoever has it needs nothing else. */
  url: string
  expiresAt: Date
  /** Of the image, qcow2. */
  sizeBytes: number
}

/** Fixed by the seed (WAYSCloud, "Backups"): one hour. */
const LINK_MS = 3_600_000

/** Throws `conflict` for a backup that is not completed. */
export async function link(
  ctx: Ctx,
  backupRef: backups.BackupRef,
  options: backups.OfInstance = {},
): Promise<DownloadLink> {
  const { id, shortId, state, diskBytes } = await backups.get(ctx, backupRef, options)
  if (state !== 'completed' || diskBytes === null) {
    throw new CloudError('conflict', `only a completed backup can be downloaded, this one is ${state}`)
  }
  const claim = { shortId, expires: Math.floor(((await now(ctx.db)).getTime() + LINK_MS) / 1000) }
  const chunks = await downloads.dataChunks(ctx.db, id)
  const query = `expires=${claim.expires}&signature=${signLink(ctx.settings.masterKey, claim)}`
  return {
    url: `${ctx.settings.s3Url}/.havn/backups/${shortId}.qcow2?${query}`,
    expiresAt: new Date(claim.expires * 1000),
    sizeBytes: layoutQcow2({ diskBytes, chunkBytes: CHUNK_BYTES, chunks }).sizeBytes,
  }
}
