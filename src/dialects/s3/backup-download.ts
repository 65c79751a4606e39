/**
 * `/.havn/backups/<short id>.qcow2?expires=…&signature=…`: a backup's disk image for whoever has the link. No bucket's
 * name begins with a dot, so no object is hidden by it.
 */
import { S3Error } from '../../model/s3-error.ts'
import type { BackupImage, BackupImages } from '../../services/backups/images.ts'
import { judgeRead, rangeStillHolds } from '../../services/objects/conditions.ts'
import { rangeOf } from '../../services/objects/ranges.ts'
import type { Words } from './call.ts'
import type { S3Answer } from './operation.ts'
import type { Target } from './target.ts'

const NAME = /^backups\/(bk-[0-9a-z]+)\.qcow2$/

export const isBackupDownload = ({ style, bucket }: Target): boolean => style === 'path' && bucket === '.havn'

export async function downloadBackup(
  images: BackupImages | undefined,
  { key, query }: Target,
  method: string,
  { header }: Words,
  reading: () => () => void,
): Promise<S3Answer> {
  const shortId = NAME.exec(key ?? '')?.[1]
  if (!images || !shortId) throw new S3Error('NoSuchKey')
  if (method !== 'GET' && method !== 'HEAD') {
    throw new S3Error('MethodNotAllowed', undefined, { headers: { allow: 'GET, HEAD' } })
  }
  // From before the backup is looked up: what is let go of later stays until this is over.
  const done = reading()
  try {
    const [expires, signature] = [query.get('expires') ?? '', query.get('signature') ?? '']
    const image = await images.open({ shortId, expires, signature })
    refuseByConditions(image, header)
    const range = rangeStillHolds(header('if-range'), image) ? rangeOf(header('range'), image.sizeBytes) : null
    const { start, length } = range ?? { start: 0, length: image.sizeBytes }
    const answer = { status: range ? 206 : 200, headers: headersOf(image, range) }
    if (method === 'HEAD') {
      done()
      return { ...answer, content: { lengthBytes: length, body: Buffer.alloc(0) } }
    }
    const { sendTo } = await image.read(start, length)
    const body: typeof sendTo = (target, signal) => sendTo(target, signal).finally(done)
    return { ...answer, content: { lengthBytes: length, body } }
  } catch (error) {
    done()
    throw error
  }
}

function refuseByConditions(image: BackupImage, header: Words['header']): void {
  const verdict = judgeRead(
    {
      ifMatch: header('if-match'),
      ifNoneMatch: header('if-none-match'),
      ifModifiedSince: header('if-modified-since'),
      ifUnmodifiedSince: header('if-unmodified-since'),
    },
    image,
  )
  if (verdict === 'go on') return
  if (verdict === 'not modified') throw new S3Error('NotModified', undefined, { headers: validators(image) })
  throw new S3Error('PreconditionFailed', undefined, { elements: { Condition: verdict.failed } })
}

const validators = ({ etag, modifiedAt }: BackupImage) => ({
  etag: `"${etag}"`,
  'last-modified': modifiedAt.toUTCString(),
})

const headersOf = (image: BackupImage, range: { start: number; length: number } | null) => ({
  ...validators(image),
  'accept-ranges': 'bytes',
  'cache-control': 'private, no-store',
  'content-type': 'application/octet-stream',
  'content-disposition': `attachment; filename="${image.fileName}"`,
  'content-range': range ? `bytes ${range.start}-${range.start + range.length - 1}/${image.sizeBytes}` : undefined,
})
