/** Which bytes of an object a reader gets (RFC 9110, section 14; S3 API, "GetObject"). Pure. */
import { S3Error } from '../../model/s3-error.ts'

export interface Range {
  start: number
  length: number
}

/** Null: the header says nothing that we serve (malformed, several ranges), so the answer is whole. Throws InvalidRange. */
export function rangeOf(header: string | undefined, sizeBytes: number): Range | null {
  const match = /^\s*bytes\s*=\s*(?:(\d+)\s*-\s*(\d+)?|-\s*(\d+))\s*$/i.exec(header ?? '')
  if (!match) return null
  const [, first, last, suffix] = match
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), sizeBytes)
    if (length === 0) throw unsatisfiable(header as string, sizeBytes)
    return { start: sizeBytes - length, length }
  }
  const start = Number(first)
  const end = last === undefined ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1)
  if (last !== undefined && Number(last) < start) return null
  if (start >= sizeBytes) throw unsatisfiable(header as string, sizeBytes)
  return { start, length: end - start + 1 }
}

const unsatisfiable = (header: string, sizeBytes: number) =>
  new S3Error('InvalidRange', undefined, {
    elements: { RangeRequested: header, ActualObjectSize: String(sizeBytes) },
    headers: { 'content-range': `bytes */${sizeBytes}` },
  })

/** Where part `number` lies. Throws InvalidPartNumber. */
export function rangeOfPart(parts: readonly { number: number; sizeBytes: number }[], number: number): Range {
  const index = parts.findIndex((part) => part.number === number)
  const part = parts[index]
  if (!part) throw new S3Error('InvalidPartNumber', undefined, { elements: { ActualPartCount: String(parts.length) } })
  const start = parts.slice(0, index).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  return { start, length: part.sizeBytes }
}
