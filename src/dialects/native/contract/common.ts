/** What every part of the contract is made of. */
import { z } from 'zod'

/** Where all paths begin. */
export const V = '/havn/v1'

export const LIST_LIMIT_MAX = 1000 // keeps an answer below about a megabyte

const LIST_LIMIT_DEFAULT = 100

export const Timestamp = z.iso.datetime().describe('ISO 8601, UTC')

export const Bytes = z.int().nullable().describe('null = not measured')

/** What people type as a name: one line, no control characters. */
export const Name = z
  .string()
  .trim()
  .min(1)
  .max(128)
  .regex(/^[^\p{Cc}]+$/u, 'must not hold control characters')

export const listOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), total: z.int().describe('all that match, not only this page') })

/** Numbers in a query arrive as text. */
export const QueryInt = (min: number, max: number) => z.coerce.number().int().min(min).max(max)

export const Paging = {
  limit: QueryInt(1, LIST_LIMIT_MAX).default(LIST_LIMIT_DEFAULT),
  offset: QueryInt(0, Number.MAX_SAFE_INTEGER).default(0),
}

export const All = { all: z.enum(['true', 'false']).optional().describe('`true`: of every account; operators only') }

export const PageQuery = z.strictObject({ ...Paging })

export const PageAllQuery = z.strictObject({ ...Paging, ...All })

export const Ref = z.strictObject({ id: z.string().min(1).describe('text id, UUID, number or name') })

export interface Endpoint {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Segments in braces are parameters. */
  path: string
  summary: string
  status: number
  params?: z.ZodType
  query?: z.ZodType
  body?: z.ZodType
  /** Absent: no body, or one that is no JSON (`produces`). */
  answer?: z.ZodType
  produces?: string
  consumes?: string
}
