/** A dialect's OpenAPI 3.1 document, made from the same schemas that validate its requests. */
import { z } from 'zod'
import { BLANK_PROBLEM, type Problem } from './errors.ts'
import { type Dialect, MUTATING, type Route } from './route.ts'

export interface JsonSchema {
  $ref?: string
  type?: string | string[]
  description?: string
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  enum?: unknown[]
  const?: unknown
  default?: unknown
  format?: string
  [key: string]: unknown
}
export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required: boolean
  description?: string
  schema: JsonSchema
}
export interface Operation {
  operationId: string
  summary: string
  tags: string[]
  parameters?: Parameter[]
  requestBody?: { required: boolean; content: Record<string, { schema: JsonSchema }> }
  responses: Record<string, { description: string; content?: Record<string, { schema: JsonSchema }> }>
  security?: Record<string, string[]>[]
}
export interface OpenApi {
  openapi: '3.1.0'
  info: { title: string; version: string; description: string }
  servers: { url: string }[]
  security: Record<string, string[]>[]
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, JsonSchema>; securitySchemes: Record<string, Record<string, unknown>> }
}

const JSON_MEDIA = 'application/json'
const IDEMPOTENCY_KEY: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same key and request again get the first answer once more; another request with it is refused.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
}

export function openApi(dialect: Dialect): OpenApi {
  const schemas: Record<string, JsonSchema> = {}
  const error = toJson(dialect.errorBody, schemas)
  const paths: OpenApi['paths'] = {}
  for (const route of dialect.routes) {
    paths[route.path] ??= {}
    paths[route.path]![route.method.toLowerCase()] = operation(dialect, route, error, schemas)
  }
  return {
    openapi: '3.1.0',
    info: { title: dialect.title, version: '1', description: dialect.description },
    servers: [{ url: '/' }],
    security: Object.keys(dialect.security).map((name) => ({ [name]: [] })),
    paths,
    components: { schemas, securitySchemes: dialect.security },
  }
}

function operation(dialect: Dialect, route: Route, error: JsonSchema, schemas: Record<string, JsonSchema>): Operation {
  const parameters = [
    ...pathParameters(route, schemas),
    ...(route.query ? parametersOf('query', toJson(route.query, schemas), schemas) : []),
    ...(route.method === 'POST' && route.takes !== 'stream' ? [IDEMPOTENCY_KEY] : []),
  ]
  return {
    operationId: operationId(route),
    summary: route.summary,
    tags: [tagOf(dialect, route.path)],
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && {
      requestBody: { required: true, content: { [JSON_MEDIA]: { schema: toJson(route.body, schemas) } } },
    }),
    ...(route.takes === 'stream' && {
      requestBody: { required: true, content: { [route.consumes ?? 'application/octet-stream']: { schema: {} } } },
    }),
    responses: {
      [route.status]: {
        description: 'Done',
        ...(route.answer && { content: { [JSON_MEDIA]: { schema: toJson(route.answer, schemas) } } }),
        ...(route.produces && { content: { [route.produces]: { schema: { type: 'string' } } } }),
      },
      ...Object.fromEntries(
        errorStatuses(dialect, route).map((status) => [
          status,
          { description: ERROR_WORDS[status] ?? 'Refused', content: { [JSON_MEDIA]: { schema: error } } },
        ]),
      ),
    },
    ...(route.scope === null && { security: [] }),
  }
}

const ERROR_WORDS: Record<number, string> = {
  400: 'The request is wrong',
  401: 'No or an unknown credential',
  402: 'Not enough credit',
  403: 'The credential may not do this',
  404: 'No such thing, or not yours',
  406: 'Unknown credential',
  409: 'Not in this state, it exists already, or the Idempotency-Key was used for another request',
  413: 'The body is larger than 1 MiB',
  415: 'The body is not JSON',
  422: 'The request is malformed, or the Idempotency-Key was used for another request',
  429: 'Too many requests; see Retry-After',
  500: 'A bug on our side',
  503: 'Try again later',
}

/** What a call can be refused with, in the statuses of the dialect's own errors. */
function errorStatuses(dialect: Dialect, route: Route): number[] {
  const statuses = refusals(dialect, route).map(
    (problem) => dialect.errors({ ...BLANK_PROBLEM, method: route.method, path: route.path, ...problem }).status,
  )
  return [...new Set(statuses)].sort((a, b) => a - b)
}

function refusals({ takesNames }: Dialect, { method, path, query, body, scope, takes, refuses }: Route) {
  const all: Partial<Problem>[] = [{ code: 'rate_limited' }, { code: 'internal' }, { code: 'unavailable' }]
  const isChange = MUTATING.includes(method)
  if (scope !== null) all.push({ code: 'unauthenticated' }, { code: 'unauthenticated', hasCredential: true })
  if (scope !== null) all.push({ code: 'forbidden' })
  if (isChange || query) all.push({ code: 'invalid', isMalformed: true })
  if (body) all.push({ code: 'invalid' })
  if (path.includes('{')) all.push({ code: 'not_found' })
  if (isChange || (takesNames && path.includes('{'))) all.push({ code: 'conflict' })
  if (isChange && takes !== 'stream') all.push({ code: 'too_large' }, { code: 'unsupported_media_type' })
  if (method === 'POST' && takes !== 'stream') all.push({ code: 'idempotency_mismatch' })
  return [...all, ...(refuses ?? []).map((code) => ({ code }))]
}

/** `get_v1_vps_id_status`: unique, and stable as long as the path is. */
const operationId = ({ method, path }: Route): string =>
  `${method.toLowerCase()}_${path.replaceAll(/[^A-Za-z0-9]+/g, '_').replaceAll(/^_|_$/g, '')}`

/** The first word of the path that tells routes apart; versions, `api` and what all paths begin with do not. */
function tagOf(dialect: Dialect, path: string): string {
  const words = (text: string) => text.split('/').filter((word) => !/^(|api|v\d+|\{.*)$/.test(word))
  const all = dialect.routes.map((route) => words(route.path))
  let shared = 0
  while (all.every((each) => each.length > shared + 1 && each[shared] === all[0]![shared])) shared++
  return words(path)[shared] ?? dialect.name
}

function pathParameters(route: Route, schemas: Record<string, JsonSchema>): Parameter[] {
  if (route.params) return parametersOf('path', toJson(route.params, schemas), schemas)
  return [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name: name!,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
}

function parametersOf(where: Parameter['in'], schema: JsonSchema, schemas: Record<string, JsonSchema>): Parameter[] {
  const object = schema.$ref ? schemas[schema.$ref.split('/').at(-1)!]! : schema
  return Object.entries(object.properties ?? {}).map(([name, { description, ...member }]) => ({
    name,
    in: where,
    required: where === 'path' || (object.required ?? []).includes(name),
    ...(description !== undefined && { description }),
    schema: member,
  }))
}

/** JSON Schema of what the wire carries; named schemas go to `schemas` and are referred to. */
function toJson(schema: z.ZodType, schemas: Record<string, JsonSchema>): JsonSchema {
  const made = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override({ jsonSchema }) {
      // The formats say it already; the patterns are a screenful each.
      if (jsonSchema.format || jsonSchema.type === 'integer') delete jsonSchema.pattern
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
    },
  })
  const text = JSON.stringify(made).replaceAll('"#/$defs/', '"#/components/schemas/')
  const { $schema: _, $defs = {}, ...rest } = JSON.parse(text) as JsonSchema & { $defs?: Record<string, JsonSchema> }
  Object.assign(schemas, $defs)
  return rest
}
