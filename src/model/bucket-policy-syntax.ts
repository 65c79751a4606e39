/** What the parts of a bucket policy's parser share. */
import { S3Error } from './s3-error.ts'

export const malformedPolicy = (why: string): S3Error => new S3Error('MalformedPolicy', why)

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** One string, or a list of at least one. */
export function listOf(value: unknown, complaint: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0 || !list.every((item) => typeof item === 'string' && item !== '')) {
    throw malformedPolicy(complaint)
  }
  return list as string[]
}

/** The name of a member that stands twice in one object, where JSON.parse silently keeps the last; the text is JSON. */
export function findRepeatedMember(json: string): string | null {
  const open: (Set<string> | null)[] = []
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(null)
    else if (token === '}' || token === ']') open.pop()
    else if (token.endsWith(':')) {
      const name = JSON.parse(token.slice(0, -1)) as string
      const names = open.at(-1)
      if (names?.has(name)) return name
      names?.add(name)
    }
  }
  return null
}
