/**
 * A small strict parser for the documents that S3 takes: elements, attributes, text, CDATA, comments and character
 * references. References to characters that XML 1.0 forbids are accepted, because keys come so. What could do harm or
 * mean something else is refused: document types, entities, processing instructions, mixed content, and anything deeper
 * or larger than a request of S3 ever is. Names lose their prefix: clients write with the namespace, without, or with
 * one of their own.
 */
import { S3Error } from '../../model/s3-error.ts'

export interface XmlElement {
  /** Without its prefix. */
  name: string
  /** By name without prefix; namespace declarations are left out. */
  attributes: ReadonlyMap<string, string>
  children: readonly XmlElement[]
  /** Empty when the element holds elements. */
  text: string
}

const DEPTH_MAX = 20
const ELEMENTS_MAX = 120_000 // Complete with 10,000 parts of nine elements each

/** The document's element; `root` is the name it must have. Throws MalformedXML. */
export function parseXml(bytes: Uint8Array, root: string): XmlElement {
  const element = new Parser(decodeUtf8(bytes)).document()
  if (element.name !== root) throw malformed(`the root is ${element.name}, not ${root}`)
  return element
}

/** The only child of that name, or undefined; several are refused. */
export function findChild(element: XmlElement, name: string): XmlElement | undefined {
  const found = element.children.filter((child) => child.name === name)
  if (found.length > 1) throw malformed(`${name} stands twice in ${element.name}`)
  return found[0]
}

export function getChild(element: XmlElement, name: string): XmlElement {
  const child = findChild(element, name)
  if (!child) throw malformed(`${element.name} lacks ${name}`)
  return child
}

export const childrenOf = (element: XmlElement, name: string): XmlElement[] =>
  element.children.filter((child) => child.name === name)

/** The text of an element that must hold no elements. */
export function textOf(element: XmlElement): string {
  if (element.children.length > 0) throw malformed(`${element.name} holds elements where text is due`)
  return element.text
}

export function findText(element: XmlElement, name: string): string | undefined {
  const child = findChild(element, name)
  return child === undefined ? undefined : textOf(child)
}

export const getText = (element: XmlElement, name: string): string => textOf(getChild(element, name))

/** An integer in decimal digits. */
export function integerOf(element: XmlElement): number {
  const text = textOf(element).trim()
  if (!/^-?\d{1,15}$/.test(text)) throw malformed(`${element.name} is no integer`)
  return Number(text)
}

/** `true` or `false`, in any letter case as clients write it. */
export function booleanOf(element: XmlElement): boolean {
  const text = textOf(element).trim().toLowerCase()
  if (text !== 'true' && text !== 'false') throw malformed(`${element.name} is neither true nor false`)
  return text === 'true'
}

/** An element that we do not know may change what is asked for, so it is refused. */
export function allowOnly(element: XmlElement, names: readonly string[]): void {
  const other = element.children.find((child) => !names.includes(child.name))
  if (other) throw malformed(`${element.name} cannot hold ${other.name}`)
}

/** The message stays the usual one, which clients know; the reason goes to the log. */
export const malformed = (why: string): S3Error => new S3Error('MalformedXML', undefined, { cause: new Error(why) })

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw malformed('not UTF-8')
  }
}

const NAME = /[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?/y
const ATTRIBUTE = /\s+([A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y
const TAG_END = /\s*(\/?)>/y
const CLOSE_END = /\s*>/y
const TEXT = /[^<]+/y
const XML_DECLARATION =
  /<\?xml\s+version\s*=\s*(?:"1\.\d"|'1\.\d')(?:\s+encoding\s*=\s*(?:"utf-8"|'utf-8'))?(?:\s+standalone\s*=\s*(?:"(?:yes|no)"|'(?:yes|no)'))?\s*\?>/iy
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map()

interface Open {
  rawName: string
  attributes: ReadonlyMap<string, string>
  children: XmlElement[]
  text: string
}

class Parser {
  readonly #text: string
  #at = 0
  #elements = 0

  constructor(text: string) {
    this.#text = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text // XML 1.0, section 2.11
  }

  document(): XmlElement {
    this.#match(XML_DECLARATION)
    this.#miscellany()
    const root = this.#tree()
    this.#miscellany()
    if (this.#at < this.#text.length) throw malformed('something follows the root')
    return root
  }

  /** White space and comments. */
  #miscellany(): void {
    for (;;) {
      this.#match(/\s*/y)
      if (!this.#text.startsWith('<!--', this.#at)) return
      this.#comment()
    }
  }

  /** A loop, not recursion, with the open elements on a stack. */
  #tree(): XmlElement {
    const open: Open[] = []
    for (;;) {
      const parent = open.at(-1)
      if (this.#text[this.#at] !== '<') {
        const text = parent && this.#match(TEXT)
        if (!text) throw malformed('an element is missing or not closed')
        parent.text += resolve(text[0])
      } else if (this.#text.startsWith('</', this.#at)) {
        if (!parent) throw malformed('nothing is open')
        const element = this.#close(parent)
        open.pop()
        const above = open.at(-1)
        if (!above) return element
        above.children.push(element)
      } else if (this.#text.startsWith('<!--', this.#at)) {
        this.#comment()
      } else if (parent && this.#text.startsWith('<![CDATA[', this.#at)) {
        parent.text += this.#until('<![CDATA[', ']]>')
      } else {
        const { element, isEmpty } = this.#open(open.length)
        if (!isEmpty) open.push(element)
        else if (parent) parent.children.push(finished(element))
        else return finished(element)
      }
    }
  }

  #open(depth: number): { element: Open; isEmpty: boolean } {
    if (depth >= DEPTH_MAX) throw malformed('too deep')
    if (++this.#elements > ELEMENTS_MAX) throw malformed('too many elements')
    this.#at++
    const rawName = this.#match(NAME)?.[0]
    if (rawName === undefined) throw malformed('no element, and no other markup is allowed')
    const attributes = this.#attributes()
    const end = this.#match(TAG_END)
    if (!end) throw malformed(`the tag of ${rawName} is broken`)
    return { element: { rawName, attributes, children: [], text: '' }, isEmpty: end[1] === '/' }
  }

  #attributes(): ReadonlyMap<string, string> {
    let attributes: Map<string, string> | undefined
    const seen = new Set<string>()
    for (;;) {
      const match = this.#match(ATTRIBUTE)
      if (!match) return attributes ?? NO_ATTRIBUTES
      const name = match[1] as string
      if (seen.has(name)) throw malformed(`the attribute ${name} stands twice`)
      seen.add(name)
      if (name === 'xmlns' || name.startsWith('xmlns:')) continue
      attributes ??= new Map()
      attributes.set(localName(name), resolve(match[2] ?? match[3] ?? ''))
    }
  }

  #close(open: Open): XmlElement {
    this.#at += 2
    const name = this.#match(NAME)?.[0]
    if (name !== open.rawName || !this.#match(CLOSE_END)) throw malformed(`${open.rawName} is not closed`)
    return finished(open)
  }

  #comment(): void {
    if (this.#until('<!--', '-->').includes('--')) throw malformed('a comment holds --')
  }

  #until(start: string, end: string): string {
    const from = this.#at + start.length
    const to = this.#text.indexOf(end, from)
    if (to === -1) throw malformed(`${start} without ${end}`)
    this.#at = to + end.length
    return this.#text.slice(from, to)
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match) this.#at = pattern.lastIndex
    return match
  }
}

function finished({ rawName, attributes, children, text }: Open): XmlElement {
  if (children.length > 0 && text.trim() !== '') throw malformed(`${rawName} holds text between elements`)
  return { name: localName(rawName), attributes, children, text: children.length > 0 ? '' : text }
}

const localName = (name: string): string => name.slice(name.indexOf(':') + 1)

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function resolve(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&([^;&]{0,12};)?/g, (_, name: string | undefined) => {
    const code = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}));$/.exec(name ?? '')
    if (code) return character(Number.parseInt(code[1] ?? code[2] ?? '', code[1] === undefined ? 10 : 16))
    const known = ENTITIES[(name ?? '').slice(0, -1)]
    if (known === undefined) throw malformed('a reference to an entity that is not one of the five')
    return known
  })
}

function character(code: number): string {
  // NUL and halves of characters are in no key.
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw malformed('no such character')
  return String.fromCodePoint(code)
}
