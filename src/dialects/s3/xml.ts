/**
 * XML as S3 writes it. Text is escaped where an element is made, and only what was made here counts as XML, so that no
 * name or key of a client gets into an answer unescaped.
 */

import { encodePath } from '../../lib/sigv4.ts'
import { escapeXml } from '../../lib/xml-text.ts'

/** Text that is XML already. */
export type Xml = string & { readonly isXml: unique symbol }

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
/** What every document begins with. */
export const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** An element that holds text; none when the value is null or undefined. A Date becomes ISO 8601 with milliseconds. */
export function leaf(name: string, value: string | number | boolean | Date | null | undefined): Xml {
  if (value === null || value === undefined) return '' as Xml
  const text = value instanceof Date ? value.toISOString() : typeof value === 'string' ? escapeXml(value) : value
  return `<${name}>${text}</${name}>` as Xml
}

/** An element that holds elements. */
export function group(name: string, children: readonly Xml[], attributes: Readonly<Record<string, string>> = {}): Xml {
  const inTag = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(value)}"`)
  return `<${name}${inTag.join('')}>${children.join('')}</${name}>` as Xml
}

/** A result document, in the namespace of S3. */
export const resultXml = (root: string, children: readonly Xml[]): string =>
  DECLARATION + group(root, children, { xmlns: NAMESPACE })

/** A document of no namespace, as errors are. */
export const plainXml = (root: string, children: readonly Xml[]): string => DECLARATION + group(root, children)

export { escapeXml }

/** For `encoding-type=url`: every byte of the UTF-8 but `A-Za-z0-9-._~/` as `%XX`. */
export const urlEncode = encodePath
