/** Tags of buckets and objects (S3 user guide, "Categorizing your storage using tags"). */
import { S3Error } from './s3-error.ts'

export type Tags = Readonly<Record<string, string>>

export const OBJECT_TAGS_MAX = 10
export const BUCKET_TAGS_MAX = 50
const KEY_MAX = 128
const VALUE_MAX = 256
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u

/** Throws InvalidTag, or BadRequest when there are too many. */
export function tagsOf(pairs: readonly (readonly [key: string, value: string])[], of: 'bucket' | 'object'): Tags {
  const max = of === 'bucket' ? BUCKET_TAGS_MAX : OBJECT_TAGS_MAX
  if (pairs.length > max) {
    throw new S3Error('BadRequest', `${of === 'bucket' ? 'Bucket' : 'Object'} tags cannot be greater than ${max}`)
  }
  const tags = new Map<string, string>()
  for (const [key, value] of pairs) {
    if (key === '' || key.length > KEY_MAX || !ALLOWED.test(key)) {
      throw new S3Error('InvalidTag', 'The TagKey you have provided is invalid', { elements: { TagKey: key } })
    }
    if (value.length > VALUE_MAX || !ALLOWED.test(value)) {
      throw new S3Error('InvalidTag', 'The TagValue you have provided is invalid', { elements: { TagKey: key } })
    }
    if (/^aws:/i.test(key)) throw new S3Error('InvalidTag', 'System tags cannot be added/updated by requester')
    if (tags.has(key)) throw new S3Error('InvalidTag', 'Cannot provide multiple Tags with the same key')
    tags.set(key, value)
  }
  return Object.fromEntries(tags)
}

/** The `x-amz-tagging` header: `a=b&c=d`, URL-encoded. Throws InvalidArgument or as `tagsOf`. */
export function tagsOfHeader(text: string): Tags {
  const pairs = text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair): [string, string] => {
      const [key = '', ...rest] = pair.split('=')
      return [decode(key), decode(rest.join('='))]
    })
  return tagsOf(pairs, 'object')
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new S3Error(
      'InvalidArgument',
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
      { elements: { ArgumentName: 'x-amz-tagging', ArgumentValue: text } },
    )
  }
}
