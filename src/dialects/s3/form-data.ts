/**
 * Takes a form apart while it comes in (RFC 7578): the fields before the file whole, within a bound, then the file as a
 * stream that nobody reads ahead of. What follows the file is not looked at, as S3 says.
 */
import { S3Error } from '../../model/s3-error.ts'

export interface FormField {
  /** In lower case: names of S3's form fields are case-insensitive. */
  name: string
  value: Buffer
}
export interface Form {
  fields: readonly FormField[]
  file: { fileName: string; bytes: AsyncIterable<Buffer> }
}

const FIELDS_MAX_BYTES = 20 * 1024 // S3 API reference, "POST Object": fields before the file
const CRLF2 = Buffer.from('\r\n\r\n')

/** From a Content-Type header. Throws MalformedPOSTRequest. */
export function boundaryOf(contentType: string | undefined): string {
  const match = /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))/i.exec(
    contentType ?? '',
  )
  const boundary = match?.[1] ?? match?.[2]
  if (boundary !== undefined) return boundary
  throw new S3Error('MalformedPOSTRequest', 'Bucket POST must be of the enclosure-type multipart/form-data')
}

/** Throws MalformedPOSTRequest, and MaxPostPreDataLengthExceeded. */
export async function readForm(source: AsyncIterable<Buffer>, boundary: string): Promise<Form> {
  const reader = createReader(source)
  const fields: FormField[] = []
  let budget = FIELDS_MAX_BYTES
  const spend = async (delimiter: Buffer): Promise<Buffer> => {
    const bytes = await reader.until(delimiter, budget)
    budget -= bytes.length
    return bytes
  }
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  // The first one may stand at the very beginning.
  reader.unread(Buffer.from('\r\n'))
  await spend(delimiter)
  for (;;) {
    const head = await spend(CRLF2)
    if (head.subarray(0, 2).toString('latin1') === '--') throw malformed('it has no file')
    const { name, fileName } = disposition(head)
    if (name === 'file') return { fields, file: { fileName: fileName ?? '', bytes: reader.streamUntil(delimiter) } }
    if (fields.some((field) => field.name === name)) throw malformed(`the field ${name} stands twice`)
    fields.push({ name, value: await spend(delimiter) })
  }
}

const malformed = (why: string) =>
  new S3Error('MalformedPOSTRequest', `The body of your POST request is not well-formed multipart/form-data: ${why}.`)

function disposition(head: Buffer): { name: string; fileName: string | null } {
  const text = head.toString('utf8')
  const line = /^content-disposition:[ \t]*form-data[ \t]*;(.*)$/im.exec(text)?.[1]
  const parameter = (wanted: string): string | null => {
    const match = new RegExp(`(?:^|;)[ \\t]*${wanted}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]*))`, 'i').exec(line ?? '')
    const value = match?.[1] ?? match?.[2]
    // Browsers write a quote as %22; others put a backslash before it.
    return value === undefined ? null : value.replaceAll('\\"', '"').replaceAll('%22', '"')
  }
  const name = parameter('name')?.toLowerCase()
  if (!name) throw malformed('a part has no name')
  return { name, fileName: parameter('filename') }
}

function createReader(source: AsyncIterable<Buffer>) {
  const chunks = source[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)

  async function more(): Promise<boolean> {
    const { done, value } = await chunks.next()
    if (done) return false
    held = held.length === 0 ? value : Buffer.concat([held, value])
    return true
  }

  async function* streamUntil(delimiter: Buffer): AsyncGenerator<Buffer> {
    for (;;) {
      const at = held.indexOf(delimiter)
      if (at !== -1) {
        if (at > 0) yield held.subarray(0, at)
        held = held.subarray(at + delimiter.length)
        return
      }
      // The end may hold the beginning of the delimiter.
      const certain = held.length - delimiter.length + 1
      if (certain > 0) {
        const piece = held.subarray(0, certain)
        held = held.subarray(certain)
        yield piece
      }
      if (!(await more())) throw malformed('the file has no end')
    }
  }

  return {
    unread(bytes: Buffer): void {
      held = Buffer.concat([bytes, held])
    },
    /** What stands before the delimiter, which is taken off. */
    async until(delimiter: Buffer, maxBytes: number): Promise<Buffer> {
      for (;;) {
        const at = held.indexOf(delimiter)
        if (at > maxBytes || (at === -1 && held.length > maxBytes + delimiter.length)) {
          throw new S3Error('MaxPostPreDataLengthExceeded')
        }
        if (at !== -1) {
          const bytes = Buffer.from(held.subarray(0, at))
          held = held.subarray(at + delimiter.length)
          return bytes
        }
        if (!(await more())) throw malformed('it ends too early')
      }
    },
    streamUntil,
  }
}
