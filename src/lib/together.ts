/** Waits for all of them, also when one fails: what still runs would get in the way of whoever tries again. */
export async function together<T extends readonly unknown[]>(...all: T): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(all)
  return Promise.all(all)
}
