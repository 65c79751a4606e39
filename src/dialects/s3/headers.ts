/**
 * The headers of a request byte for byte as they came (one character per byte, latin1), because signatures are made
 * over them. Node's own `headers` drops some repeated ones and joins others in its own way.
 */
export interface RequestHeaders {
  /** Repeated ones joined by `,`; the name in lower case. */
  get(name: string): string | undefined
  all(name: string): readonly string[]
  names(): Iterable<string>
  /** Every header whose name begins so, by the rest of its name. */
  under(prefix: string): Record<string, string>
}

/** `raw` alternates names and values, as Node's `rawHeaders` does. */
export function readHeaders(raw: readonly string[]): RequestHeaders {
  const byName = new Map<string, string[]>()
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase()
    const values = byName.get(name)
    if (values) values.push(raw[index + 1]!)
    else byName.set(name, [raw[index + 1]!])
  }
  return {
    get: (name) => byName.get(name)?.join(','),
    all: (name) => byName.get(name) ?? [],
    names: () => byName.keys(),
    under(prefix) {
      // Not by assignment: `__proto__` is a name like any other.
      return Object.fromEntries(
        [...byName]
          .filter(([name]) => name.startsWith(prefix))
          .map(([name, values]) => [name.slice(prefix.length), values.join(',')]),
      )
    },
  }
}
