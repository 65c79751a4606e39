import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundaryOf, readForm } from './form-data.ts'

async function* cut(text: string, step: number) {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += step) yield Buffer.from(bytes.subarray(at, at + step))
}
async function parse(text: string, step = 1 << 20) {
  const { fields, file } = await readForm(cut(text, step), 'XX')
  const data: Buffer[] = []
  for await (const chunk of file.bytes) data.push(Buffer.from(chunk))
  return {
    fields: fields.map(({ name, value }) => [name, value.toString()]),
    fileName: file.fileName,
    data: Buffer.concat(data).toString(),
  }
}
const part = (head: string, body: string) => `--XX\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`

test('fields, then the file as a stream, however it is cut up', async () => {
  const data = 'line\r\n--X\r\n--XY\r\n\r\n--'
  const form =
    part('name="Key"', 'user/$filename') +
    part('name=acl', 'private') +
    part('name="x-amz-meta-é"', 'a\r\nb') +
    `--XX\r\ncontent-type: text/plain\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\" é.txt"\r\n\r\n${data}\r\n` +
    part('name="later"', 'ignored') +
    '--XX--\r\n'
  for (const step of [1, 3, 7, 1 << 20]) {
    assert.deepEqual(await parse(form, step), {
      fields: [
        ['key', 'user/$filename'],
        ['acl', 'private'],
        ['x-amz-meta-é', 'a\r\nb'],
      ],
      fileName: 'a "b" é.txt',
      data,
    })
  }
  const empty = await parse(`preamble\r\n${part('name="file"; filename=""', '')}--XX--`)
  assert.deepEqual(empty, { fields: [], fileName: '', data: '' })
})

test('what is no form is refused', async () => {
  const table: [string, string][] = [
    ['', 'MalformedPOSTRequest'],
    ['--YY\r\n', 'MalformedPOSTRequest'],
    [`${part('name="key"', 'k')}--XX--\r\n\r\n\r\n`, 'MalformedPOSTRequest'],
    [part('name="key"', 'k') + part('name="KEY"', 'l') + part('name="file"', ''), 'MalformedPOSTRequest'],
    [part('filename="x"', 'k'), 'MalformedPOSTRequest'],
    ['--XX\r\n\r\nvalue\r\n--XX--', 'MalformedPOSTRequest'],
    ['--XX\r\nContent-Disposition: form-data; name="file"\r\n\r\nno end', 'MalformedPOSTRequest'],
    [part('name="key"', 'k'.repeat(21_000)) + part('name="file"', ''), 'MaxPostPreDataLengthExceeded'],
    ['x'.repeat(30_000), 'MaxPostPreDataLengthExceeded'],
  ]
  for (const [text, s3Code] of table) {
    for (const step of [11, 1 << 20]) await assert.rejects(parse(text, step), { s3Code }, text.slice(0, 50))
  }
})

test('the boundary comes from the content type', () => {
  assert.equal(boundaryOf('multipart/form-data; boundary=abc'), 'abc')
  assert.equal(boundaryOf('Multipart/Form-Data; charset=utf-8; boundary="a b"'), 'a b')
  for (const type of [undefined, 'text/plain', 'multipart/form-data', 'multipart/mixed; boundary=x']) {
    assert.throws(() => boundaryOf(type), { s3Code: 'MalformedPOSTRequest' })
  }
})
