/** GetObject and HeadObject (S3 API reference). */
import { PARTS_MAX } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import { type ReadRequest, read } from '../../services/objects/read.ts'
import { readCustomerKey } from './encryption-headers.ts'
import { readingHeaders } from './object-answer.ts'
import type { ObjectCall, ObjectOperation, S3Answer } from './operation.ts'
import { objectRef } from './version.ts'

const getObject: ObjectOperation = {
  name: 'GetObject',
  method: 'GET',
  on: 'object',
  action: 'itself',
  checksRevision: true,
  run: (call) => answer(call, false),
}

const headObject: ObjectOperation = {
  name: 'HeadObject',
  method: 'HEAD',
  on: 'object',
  action: 'itself',
  checksRevision: true,
  run: (call) => answer(call, true),
}

export const objectReadOperations: readonly ObjectOperation[] = [getObject, headObject]

async function answer(call: ObjectCall, withoutBody: boolean): Promise<S3Answer> {
  const reading = await read(call.ctx, objectRef(call), { ...readRequest(call), withoutBody })
  const { lengthBytes, range, body } = reading
  try {
    return {
      status: range ? 206 : 200,
      headers: readingHeaders(call, reading),
      content: { lengthBytes, body },
    }
  } catch (error) {
    await reading.cancel()
    throw error
  }
}

function readRequest(call: ObjectCall): ReadRequest {
  const { header } = call
  return {
    conditions: {
      ifMatch: header('if-match'),
      ifNoneMatch: header('if-none-match'),
      ifModifiedSince: header('if-modified-since'),
      ifUnmodifiedSince: header('if-unmodified-since'),
    },
    range: header('range'),
    ifRange: header('if-range'),
    partNumber: partNumberOf(call.query('partNumber')),
    customerKey: readCustomerKey(call),
  }
}

function partNumberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= PARTS_MAX) return number
  throw new S3Error('InvalidArgument', `Part number must be an integer between 1 and ${PARTS_MAX}, inclusive`, {
    elements: { ArgumentName: 'partNumber', ArgumentValue: text },
  })
}
