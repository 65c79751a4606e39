/** Calls operations by the names that their document gives them, and takes the document at its word about every answer. */
import assert from 'node:assert/strict'
import type { Published, PublishedOperation, Told } from './documents.ts'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
export type Json = any

export interface Call {
  /** Of the path's parameters. */
  values?: Record<string, string | number>
  query?: Record<string, string> | [string, string][]
  body?: unknown
  /** In the place of `body`: bytes, or text that is no JSON. */
  raw?: string | Buffer
  headers?: Record<string, string>
  /** Null: none. */
  key?: string | null
}

export interface Teller {
  /** The answer to one call, whatever it is; fails unless it is documented. */
  ask(name: string, call?: Call): Promise<Told & { json: Json }>
  /**
   * The same of a call that must succeed, with a body as documented. A POST is done once more, and once otherwise,
   * under its Idempotency-Key.
   */
  tell(name: string, call?: Call): Promise<Json>
}

let calls = 0

export function teller(
  apiUrl: string,
  { dialect, operations }: Published,
  keyHeader: (key: string) => object,
  key: string,
): Teller {
  const find = (name: string): PublishedOperation => {
    const operation = operations.get(name)
    assert.ok(operation, `the document of ${dialect} has no ${name}`)
    return operation
  }

  async function ask(name: string, call: Call = {}): Promise<Told & { json: Json }> {
    const { values = {}, query = {}, raw } = call
    const body = raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body))
    const operation = find(name)
    const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, part) => encodeURIComponent(values[part] ?? 'nothing'))
    const search = new URLSearchParams(query).toString()
    const stop = new AbortController()
    const response = await fetch(`${apiUrl}${path}${search && '?'}${search}`, {
      method: operation.method,
      headers: {
        ...(call.key === null ? {} : keyHeader(call.key ?? key)),
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...call.headers,
      },
      ...(body === undefined ? {} : { body }),
      signal: stop.signal,
    })
    const type = response.headers.get('content-type')
    const isEndless = type === 'text/event-stream'
    const told = { status: response.status, type, text: isEndless ? '' : await response.text() }
    if (isEndless) stop.abort()
    operation.check(told)
    return { ...told, json: type?.startsWith('application/json') ? JSON.parse(told.text) : null }
  }

  async function tell(name: string, call: Call = {}): Promise<Json> {
    const at = find(name)
    const { method, checkBody } = at
    if (call.body !== undefined) checkBody(call.body)
    const isRepeatable = method === 'POST'
    const headers = isRepeatable ? { 'idempotency-key': `walk-${++calls}`, ...call.headers } : (call.headers ?? {})
    const first = await ask(name, { ...call, headers })
    assert.ok(first.status < 300, `${name}: ${first.status} ${first.text}`)
    at.example = call
    if (isRepeatable) {
      const again = await ask(name, { ...call, headers })
      assert.ok([first.status, 400, 403, 409].includes(again.status), `${name} again: ${again.status} ${again.text}`)
      if (again.status < 300) assert.deepEqual(again.json, first.json, `${name} again`)
      const refused = await ask(name, { ...call, query: { other: '1' }, headers })
      assert.ok(refused.status >= 400, `${name} with the Idempotency-Key of another request: ${refused.status}`)
    }
    return first.json
  }

  return { ask, tell }
}
