/** Text for people: tables, sizes, times. Pure. */

/** Columns as wide as their widest cell, two blanks apart; numbers do not need more than that. */
export function table(head: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  const cells = [head, ...rows.map((row) => row.map((cell) => (cell === null ? '-' : String(cell))))]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `name  value` lines. */
export function fields(pairs: readonly (readonly [name: string, value: string | number | null])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${value ?? '-'}`).join('\n')
}

export function bytes(count: number | null): string {
  if (count === null) return '-'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let [value, unit] = [count, 0]
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** How long ago, in its largest unit. */
export function ago(then: string | null, now: Date): string {
  if (then === null) return '-'
  const seconds = Math.max(0, Math.round((now.getTime() - Date.parse(then)) / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

export function bar(percent: number, width = 24): string {
  const full = Math.round((Math.min(Math.max(percent, 0), 100) / 100) * width)
  return `[${'#'.repeat(full)}${'.'.repeat(width - full)}] ${String(percent).padStart(3)} %`
}

export const json = (value: unknown): string => JSON.stringify(value, null, 2)
