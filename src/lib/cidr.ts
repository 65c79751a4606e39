/** IPv4 blocks as numbers. IPv6 blocks are compared by PostgreSQL, where they live. */

/** First and last address of an IPv4 block or a lone address; null when the text is neither. */
export function ipv4Range(text: string): [number, number] | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(text)
  if (!match) return null
  const bytes = match.slice(1, 5).map(Number)
  const length = match[5] === undefined ? 32 : Number(match[5])
  if (bytes.some((byte) => byte > 255) || length > 32) return null
  const address = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  const size = 2 ** (32 - length)
  const first = Math.floor(address / size) * size
  return [first, first + size - 1]
}

/** Whether two IPv4 blocks share an address. Text that is no block overlaps nothing. */
export function overlaps(a: string, b: string): boolean {
  const [x, y] = [ipv4Range(a), ipv4Range(b)]
  return x !== null && y !== null && x[0] <= y[1] && y[0] <= x[1]
}
