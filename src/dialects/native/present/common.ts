/** What every presenter needs. They say a noun of ours as the contract has it; what a service adds to it stays inside. */

/** What the lists of a service hold. */
export type Item<List extends (...args: never[]) => unknown> =
  Awaited<ReturnType<List>> extends readonly (infer T)[]
    ? T
    : Awaited<ReturnType<List>> extends { items: readonly (infer T)[] }
      ? T
      : never

export const time = (date: Date): string => date.toISOString()
export const maybe = (date: Date | null): string | null => date?.toISOString() ?? null

export const page = <T, U>({ items, total }: { items: readonly T[]; total: number }, present: (item: T) => U) => ({
  items: items.map(present),
  total,
})
export const whole = <T, U>(items: readonly T[], present: (item: T) => U) =>
  page({ items, total: items.length }, present)
