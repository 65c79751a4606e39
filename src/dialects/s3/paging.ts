/** What the listings have in common: how many, from where, and how names are written. */
import { S3Error } from '../../model/s3-error.ts'
import type { ServiceCall } from './operation.ts'
import { leaf, urlEncode, type Xml } from './xml.ts'

/** More than `most` means `most`. Throws InvalidArgument for what is no number from 0 on. */
export function limitOf(call: ServiceCall, name: string, most: number): number {
  return Math.min(numberOf(call, name, most), most)
}

/** A decimal number from 0 to 2^31-1. */
export function numberOf(call: Pick<ServiceCall, 'query'>, name: string, usual: number): number {
  const text = call.query(name)
  if (text === undefined) return usual
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 31) return Number(text)
  throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`, {
    elements: { ArgumentName: name, ArgumentValue: text },
  })
}

/** Clients send empty parameters and mean none. */
export const textOrNull = (call: ServiceCall, name: string): string | null => call.query(name) || null

/** How keys, prefixes and delimiters are written: as they are, or percent-encoded because the client asked so. */
export interface KeyWriter {
  /** None when the value is null or undefined. */
  leaf(name: string, value: string | null | undefined): Xml
  /** To be put beside them. */
  encodingType: Xml
}

/** Throws InvalidArgument for an `encoding-type` other than `url`. */
export function keyWriter(call: ServiceCall): KeyWriter {
  const type = call.query('encoding-type') || null
  if (type !== null && type !== 'url') {
    throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request', {
      elements: { ArgumentName: 'encoding-type', ArgumentValue: type },
    })
  }
  const write = type === null ? (text: string) => text : urlEncode
  return {
    leaf: (name, value) => leaf(name, value === null || value === undefined ? value : write(value)),
    encodingType: leaf('EncodingType', type),
  }
}
