/**
 * The published documents taken at their word: every answer is checked against what the document of its dialect says of
 * the operation, as by somebody who has nothing but the document. Stricter than JSON Schema asks: a member that a schema
 * does not name is a member that the document forgot.
 */
import assert from 'node:assert/strict'
import type { AnySchema, ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { JsonSchema, OpenApi, Operation } from '../../src/dialects/http/openapi.ts'
import type { Call } from './teller.ts'

export interface Published {
  dialect: string
  /** By `METHOD /path`. */
  operations: ReadonlyMap<string, PublishedOperation>
}

export interface PublishedOperation {
  /** `METHOD /path` */
  name: string
  method: string
  path: string
  operation: Operation
  /** Of successes and of errors, as documented. */
  statuses: readonly number[]
  /** What was really answered so far. */
  seen: Set<number>
  needsKey: boolean
  /** A call that succeeded. */
  example: Call | null
  /** Fails unless the document has such an answer, media type and shape included. */
  check(answer: Told): void
  /** Fails unless the document allows such a body. */
  checkBody(body: unknown): void
}

export interface Told {
  status: number
  /** Null: none. */
  type: string | null
  text: string
}

export async function published(apiUrl: string, dialect: string): Promise<Published> {
  const answer = await fetch(`${apiUrl}/openapi/${dialect}.json`)
  assert.equal(answer.status, 200)
  const document = closed((await answer.json()) as OpenApi)
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  formats.default(ajv)
  ajv.addSchema({ $id: 'http://document/', ...document } as AnySchema)
  const validators = new Map<string, ValidateFunction>()
  /** By its place in the document, so that references inside of it are found. */
  const validator = (...place: string[]): ValidateFunction => {
    const pointer = place.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')
    const known = validators.get(pointer) ?? ajv.compile({ $ref: `http://document/#/${pointer}` })
    validators.set(pointer, known)
    return known
  }
  const fits = (validate: ValidateFunction, value: unknown, what: string) =>
    assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value).slice(0, 600)}`)

  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): PublishedOperation => {
      const name = `${method.toUpperCase()} ${path}`
      const seen = new Set<number>()
      return {
        name,
        method: method.toUpperCase(),
        path,
        operation,
        seen,
        example: null,
        statuses: Object.keys(operation.responses).map(Number),
        needsKey: operation.security?.length !== 0,
        check({ status, type, text }) {
          const response = operation.responses[status]
          assert.ok(response, `${name} answers ${status}, which its document does not have: ${text.slice(0, 300)}`)
          seen.add(status)
          const [[media] = [undefined]] = Object.entries(response.content ?? {})
          if (media === undefined) return assert.deepEqual([type, text], [null, ''], `${name} ${status} has no body`)
          assert.equal(type?.split(';')[0], media.split(';')[0], `${name} ${status}`)
          if (media !== 'application/json') return
          const at = validator('paths', path, method, 'responses', String(status), 'content', media, 'schema')
          fits(at, JSON.parse(text), `the answer ${status} of ${name}`)
        },
        checkBody(body) {
          const place = ['paths', path, method, 'requestBody', 'content', 'application/json', 'schema']
          if (operation.requestBody?.content['application/json']) fits(validator(...place), body, `the body of ${name}`)
        },
      }
    }),
  )
  return { dialect, operations: new Map(all.map((one) => [one.name, one])) }
}

/** Every object that names its members has no others. */
function closed<T>(node: T): T {
  if (Array.isArray(node)) return node.map(closed) as T
  if (typeof node !== 'object' || node === null) return node
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)])) as JsonSchema
  if (copy.type === 'object' && copy.properties && copy.additionalProperties === undefined) {
    copy.additionalProperties = false
  }
  return copy as T
}
