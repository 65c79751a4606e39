/** If-Match and If-None-Match of a write (RFC 9110, section 13.1; S3 user guide, "Conditional writes"). */
import type { HeaderSource } from './object-headers.ts'

export interface WriteConditions {
  /** ETags without quotes, or `*`. */
  ifMatch?: readonly string[]
  ifNoneMatch?: readonly string[]
}

export function readWriteConditions({ header }: Pick<HeaderSource, 'header'>): WriteConditions {
  const [ifMatch, ifNoneMatch] = [header('if-match'), header('if-none-match')]
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: readEtags(ifMatch) }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: readEtags(ifNoneMatch) }),
  }
}

/** Quoted or bare, one or a list. A weak one names the same bytes as a strong one, because ours are never weak. */
export const readEtags = (text: string): string[] =>
  text.split(',').map((one) => one.trim().replace(/^(?:W\/)?"(.*)"$/, '$1'))
