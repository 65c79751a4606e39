/**
 * A client of the native API, typed by its contract. It finds the API through `credentials.json` under HAVN_HOME, or
 * through HAVN_API_URL and HAVN_API_KEY, which let the CLI speak to a Havn on another machine.
 */
import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import type { Endpoint } from '../dialects/native/contract/common.ts'
import type { ErrorBody } from '../dialects/native/contract/errors.ts'
import { endpoints } from '../dialects/native/contract.ts'
import { CliError, exitOfCode } from './exit.ts'

export type Call = keyof typeof endpoints
type AnswerOf<K extends Call> = (typeof endpoints)[K] extends { answer: infer A extends z.ZodType }
  ? z.infer<A>
  : string
/** The names that a query may have. Its values are text on the way, and the API says what is wrong with one. */
type QueryOf<K extends Call> = (typeof endpoints)[K] extends { query: infer Q extends z.ZodType }
  ? { [Name in keyof z.input<Q>]?: string | number | undefined }
  : never
type BodyOf<K extends Call> = (typeof endpoints)[K] extends { body: infer B extends z.ZodType } ? z.input<B> : never

export interface Input<K extends Call> {
  id?: string
  /** The other names in the path. */
  path?: Record<string, string>
  query?: QueryOf<K>
  body?: BodyOf<K>
  /** A body that is no JSON. */
  raw?: { stream: ReadableStream<Uint8Array>; headers: Record<string, string> }
}

export interface Client {
  url: string
  call<K extends Call>(name: K, input?: Input<K>): Promise<AnswerOf<K>>
}

export interface Access {
  apiUrl: string
  apiKey: string
}

const ANSWER_MS = 120_000

/** Throws a `CliError` when nothing says where the API is. */
export function findAccess(credentialsFile: string, env: NodeJS.ProcessEnv): Access {
  if (env.HAVN_API_URL && env.HAVN_API_KEY) return { apiUrl: env.HAVN_API_URL, apiKey: env.HAVN_API_KEY }
  try {
    const { apiUrl, apiKey } = JSON.parse(readFileSync(credentialsFile, 'utf8')) as Access
    return { apiUrl: env.HAVN_API_URL ?? apiUrl, apiKey: env.HAVN_API_KEY ?? apiKey }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CliError(
      'unreachable',
      code === 'EACCES'
        ? `${credentialsFile} is not yours to read: run this as the user who started Havn`
        : `there is no ${credentialsFile}. Start Havn with ./havn up, or set HAVN_HOME, or HAVN_API_URL and HAVN_API_KEY`,
    )
  }
}

export function createClient({ apiUrl, apiKey }: Access): Client {
  const url = apiUrl.replace(/\/+$/, '')
  return {
    url,
    async call<K extends Call>(name: K, input: Input<K> = {}) {
      const endpoint: Endpoint = endpoints[name]
      const names: Record<string, string> = { id: input.id ?? '', ...input.path }
      const path = endpoint.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(names[name] ?? ''))
      const target = new URL(url + path)
      for (const [key, value] of Object.entries(input.query ?? {})) {
        if (value !== undefined) target.searchParams.set(key, String(value))
      }
      const response = await send(target, {
        method: endpoint.method,
        headers: {
          authorization: `Bearer ${apiKey}`,
          ...(input.body !== undefined && { 'content-type': 'application/json' }),
          ...input.raw?.headers,
        },
        ...(input.body !== undefined && { body: JSON.stringify(input.body) }),
        ...(input.raw && { body: input.raw.stream, duplex: 'half' }),
        ...(!input.raw && { signal: AbortSignal.timeout(ANSWER_MS) }),
      })
      if (!response.ok) throw await errorOf(response)
      if (!endpoint.answer) return (await response.text()) as AnswerOf<K>
      return (await response.json()) as AnswerOf<K>
    },
  }
}

async function send(target: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(target, init)
  } catch (error) {
    const { cause } = error as Error
    throw new CliError(
      'unreachable',
      `the API does not answer at ${target.origin} (${(cause as Error | undefined)?.message ?? (error as Error).message}). ` +
        'Does Havn run? Start it with ./havn up',
      { cause: error },
    )
  }
}

async function errorOf(response: Response): Promise<CliError> {
  const text = await response.text()
  try {
    const { error } = JSON.parse(text) as ErrorBody
    const issues = (error.issues ?? [])
      .filter(({ message }) => !error.message.includes(message)) // it names them itself
      .map(({ path, message }) => `\n  ${path.join('.')}: ${message}`)
    return new CliError(exitOfCode(error.code), error.message + issues.join(''), { requestId: error.requestId })
  } catch {
    return new CliError('error', `the API answered ${response.status} without saying why: ${text.slice(0, 200)}`)
  }
}
