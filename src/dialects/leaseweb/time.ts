/** This API writes moments in two ways, and its clients send them in several. Everything is UTC here. */
import { z } from 'zod'

export const Time = z.string().describe('`YYYY-MM-DDTHH:MM:SS+00:00`')
export const time = (date: Date): string => `${date.toISOString().slice(0, 19)}+00:00`

/** Of a contract: the zone has no colon. */
export const ContractTime = z.string().describe('`YYYY-MM-DDTHH:MM:SS+0000`')
export const contractTime = (date: Date): string => `${date.toISOString().slice(0, 19)}+0000`

const MOMENT = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+ -]\d\d:?\d\d)?)?$/

/**
 * RFC 3339, a date alone, and what a client makes of it that does not encode its URLs: there a `+` arrives as a space.
 * Without a zone it is UTC. Null for what is no moment, 30 February too.
 */
export function parseTime(text: string): Date | null {
  const [, day, clock = '00:00:00', fraction = '', zone = 'Z'] = MOMENT.exec(text) ?? []
  if (day === undefined || !isDay(day)) return null
  const offset = /z/i.test(zone) ? 'Z' : zone.replace(' ', '+').replace(/(\d\d):?(\d\d)$/, '$1:$2')
  const date = new Date(`${day}T${clock}${fraction.slice(0, 4)}${offset}`)
  return Number.isNaN(date.getTime()) ? null : date
}

function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day)
}

/** The end of the month of a contract that holds `now`: it begins anew on the same day of every month, or on its last. */
export function endOfTerm(start: Date, now: Date): Date {
  const months = (now.getUTCFullYear() - start.getUTCFullYear()) * 12 + now.getUTCMonth() - start.getUTCMonth()
  const end = monthsAfter(start, Math.max(1, months))
  return end > now ? end : monthsAfter(start, Math.max(1, months) + 1)
}

function monthsAfter(start: Date, months: number): Date {
  const [year, month] = [start.getUTCFullYear(), start.getUTCMonth() + months]
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  const end = new Date(start)
  end.setUTCFullYear(year, month, Math.min(start.getUTCDate(), lastDay))
  return end
}
