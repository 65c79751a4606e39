/** Listing and deleting objects, page by page. */
import { escapeXml } from '../lib/xml-text.ts'
import { CliError } from './exit.ts'
import { elementsOf, type S3Client, textOf } from './s3-client.ts'

export interface ListedObject {
  key: string
  sizeBytes: number
  modifiedAt: string
  etag: string
}
export interface Page {
  prefixes: string[]
  objects: ListedObject[]
}

export async function* list(
  s3: S3Client,
  bucket: string,
  prefix: string,
  { delimiter }: { delimiter?: string } = {},
): AsyncGenerator<Page> {
  for (let token = ''; ; ) {
    const query: [string, string][] = [
      ['list-type', '2'],
      ['encoding-type', 'url'],
      ['prefix', prefix],
      ...(delimiter ? [['delimiter', delimiter] as [string, string]] : []),
      ...(token ? [['continuation-token', token] as [string, string]] : []),
    ]
    const { text } = await s3.send({ method: 'GET', bucket, query })
    yield {
      prefixes: elementsOf(text, 'CommonPrefixes').map(({ inner }) => decode(textOf(inner, 'Prefix'))),
      objects: elementsOf(text, 'Contents').map(({ inner }) => ({
        key: decode(textOf(inner, 'Key')),
        sizeBytes: Number(textOf(inner, 'Size')),
        modifiedAt: textOf(inner, 'LastModified'),
        etag: textOf(inner, 'ETag').replaceAll('"', ''),
      })),
    }
    token = textOf(text, 'NextContinuationToken')
    if (!token) return
  }
}

export interface VersionRef {
  key: string
  versionId: string
}

/** Every version and delete marker under the prefix. */
export async function* listVersions(s3: S3Client, bucket: string, prefix: string): AsyncGenerator<VersionRef[]> {
  for (let [key, version] = ['', '']; ; ) {
    const query: [string, string][] = [
      ['versions', ''],
      ['encoding-type', 'url'],
      ['prefix', prefix],
      ...(key ? [['key-marker', key] as [string, string]] : []),
      ...(version ? [['version-id-marker', version] as [string, string]] : []),
    ]
    const { text } = await s3.send({ method: 'GET', bucket, query })
    yield elementsOf(text, 'Version', 'DeleteMarker').map(({ inner }) => ({
      key: decode(textOf(inner, 'Key')),
      versionId: textOf(inner, 'VersionId'),
    }))
    key = decode(textOf(text, 'NextKeyMarker'))
    version = textOf(text, 'NextVersionIdMarker')
    if (!key) return
  }
}

/** At most 1000 at a time, fixed by the S3 API. Throws when one of them cannot go, after the others went. */
export async function remove(s3: S3Client, bucket: string, refs: readonly (VersionRef | { key: string })[]) {
  const list = refs.map((ref) => {
    const version = 'versionId' in ref ? `<VersionId>${escapeXml(ref.versionId)}</VersionId>` : ''
    return `<Object><Key>${escapeXml(ref.key)}</Key>${version}</Object>`
  })
  const body = Buffer.from(`<Delete><Quiet>true</Quiet>${list.join('')}</Delete>`)
  const { text } = await s3.send({ method: 'POST', bucket, query: [['delete', '']], body })
  const [error] = elementsOf(text, 'Error')
  if (error) {
    const [key, code, message] = ['Key', 'Code', 'Message'].map((name) => textOf(error.inner, name))
    throw new CliError('denied', `${bucket}/${key}: ${message} (${code})`)
  }
}

const decode = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '))
