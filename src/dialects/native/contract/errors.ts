import { z } from 'zod'
import { ERROR_CODES } from '../../../model/errors.ts'

export const ErrorBody = z
  .object({
    error: z.object({
      code: z.enum([...ERROR_CODES, 'internal']),
      message: z.string().describe('for people; says what to do'),
      issues: z
        .array(
          z.object({
            where: z.enum(['body', 'query', 'path', 'header']),
            path: z.array(z.union([z.string(), z.number()])),
            code: z.string(),
            message: z.string(),
          }),
        )
        .optional(),
      requestId: z.string(),
    }),
  })
  .meta({ id: 'Error' })
export type ErrorBody = z.infer<typeof ErrorBody>
