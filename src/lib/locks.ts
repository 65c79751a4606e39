/** Taking turns. */

export type Exclusively = <T>(key: string, act: () => Promise<T>) => Promise<T>

/** One at a time per key, in the order of asking; keys do not wait for each other. */
export function createLocks(): Exclusively {
  const tails = new Map<string, Promise<unknown>>()
  return async <T>(key: string, act: () => Promise<T>): Promise<T> => {
    const before = tails.get(key) ?? Promise.resolve()
    const mine = before.then(act, act)
    const tail = mine.catch(() => {})
    tails.set(key, tail)
    void tail.then(() => tails.get(key) === tail && tails.delete(key))
    return mine
  }
}
