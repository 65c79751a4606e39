/** The IPv4 blocks this machine already routes somewhere (/proc/net/route; proc(5)); the default route is not one. */
import { readFile } from 'node:fs/promises'

export async function readRoutes(): Promise<string[]> {
  const text = await readFile('/proc/net/route', 'utf8').catch(() => '')
  return parseRoutes(text)
}

/** Numbers in the file are hexadecimal in the machine's byte order: little-endian on all that Havn runs on. */
export function parseRoutes(text: string): string[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, destination, , , , , , mask] = line.split(/\s+/)
      if (!destination || !mask || mask === '00000000') return []
      const length = Number.parseInt(mask, 16).toString(2).replaceAll('0', '').length
      const bytes = destination.match(/../g)!.map((hex) => Number.parseInt(hex, 16))
      return [`${bytes.reverse().join('.')}/${length}`]
    })
}
