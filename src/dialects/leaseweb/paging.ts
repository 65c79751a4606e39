/** `limit` and `offset` in, `_metadata` out. */
import { z } from 'zod'

const LIMIT_DEFAULT = 10
const LIMIT_MAX = 1_000 // keeps an answer below about a megabyte

const whole = (min: number, max: number) => {
  const rule = `must be a whole number from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}`
  return z
    .string(rule)
    .regex(/^\d{1,15}$/, rule)
    .transform(Number)
    .pipe(z.int().min(min, rule).max(max, rule))
    .meta({ type: 'integer' })
}

export const Page = z.object({
  limit: whole(1, LIMIT_MAX).optional().describe(`default ${LIMIT_DEFAULT}`),
  offset: whole(0, Number.MAX_SAFE_INTEGER).optional().describe('default 0'),
})
export interface Paging {
  limit: number
  offset: number
}
export const pagingOf = ({ limit = LIMIT_DEFAULT, offset = 0 }: z.infer<typeof Page>): Paging => ({ limit, offset })

export const Metadata = z
  .object({ totalCount: z.int().describe('all, not only this page'), offset: z.int(), limit: z.int() })
  .meta({ id: 'Metadata' })
export const metadata = (totalCount: number, { offset, limit }: Paging): z.infer<typeof Metadata> => ({
  totalCount,
  offset,
  limit,
})
