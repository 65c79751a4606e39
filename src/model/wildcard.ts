/**
 * Patterns of policies and CORS rules: `*` stands for any run of characters, `?` (where asked for) for just one. The
 * cost is at most pattern times text whatever the pattern, which a regular expression does not promise.
 */
export function matchesWildcard(pattern: string, text: string, single: '?' | null = '?'): boolean {
  let at = 0
  let next = 0
  let star = -1
  let starAt = 0
  while (at < text.length) {
    const symbol = pattern[next]
    if (symbol === '*') {
      star = next++
      starAt = at
    } else if (symbol === text[at] || (single !== null && symbol === single)) {
      at++
      next++
    } else if (star >= 0) {
      next = star + 1
      at = ++starAt
    } else {
      return false
    }
  }
  while (pattern[next] === '*') next++
  return next === pattern.length
}
