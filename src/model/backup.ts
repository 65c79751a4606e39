/** The backup: a moment of an instance's disk, kept in object storage, and the proof that it restores. */

export const BACKUP_STATES = ['creating', 'completed', 'failed', 'deleted'] as const
export type BackupState = (typeof BACKUP_STATES)[number]

/** `automatic` ones are made by a policy; some dialects let only `manual` ones be deleted by hand. */
export const BACKUP_KINDS = ['manual', 'automatic'] as const
export type BackupKind = (typeof BACKUP_KINDS)[number]

/**
 * How much the guest knew of the moment. `filesystem`: its file systems were frozen by the guest agent. `crash`: as
 * after a power cut. `off`: it was not running, so nothing was on its way.
 */
export const CONSISTENCY_LEVELS = ['off', 'filesystem', 'crash'] as const
export type Consistency = (typeof CONSISTENCY_LEVELS)[number]

/** The instance as it was when the backup was taken: what a new one can be made from when this one is gone. */
export interface BackupOrigin {
  name: string
  hostname: string
  regionId: string
  planId: string
  imageId: string
  vcpus: number
  memoryMib: number
  diskGib: number
}

/** Bytes of disk in one chunk; what is hashed, compressed, encrypted and stored as one thing. */
export const CHUNK_BYTES = 4 * 1024 * 1024

export const BACKUP_FREQUENCIES = ['daily', 'weekly'] as const
export type BackupFrequency = (typeof BACKUP_FREQUENCIES)[number]
export const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const
export type Weekday = (typeof WEEKDAYS)[number]
export const RETENTION_DAYS = [7, 14, 30] as const
export type RetentionDays = (typeof RETENTION_DAYS)[number]

export interface BackupSchedule {
  enabled: boolean
  frequency: BackupFrequency
  /** Only for `weekly`. */
  dayOfWeek: Weekday
  /** `HH:MM`, UTC. */
  time: string
  retentionDays: RetentionDays
}
export const DEFAULT_SCHEDULE: BackupSchedule = {
  enabled: false,
  frequency: 'daily',
  dayOfWeek: 'monday',
  time: '02:00',
  retentionDays: 14,
}

const TIME = /^([01]\d|2[0-3]):([0-5]\d)$/
export const isTimeOfDay = (text: string): boolean => TIME.test(text)

/** The first moment of the schedule strictly after `after`. */
export function nextMoment({ frequency, dayOfWeek, time }: BackupSchedule, after: Date): Date {
  const [, hours, minutes] = TIME.exec(time) ?? []
  const next = new Date(after)
  next.setUTCHours(Number(hours), Number(minutes), 0, 0)
  const isRight = (): boolean => next > after && (frequency === 'daily' || weekdayOf(next) === dayOfWeek)
  while (!isRight()) next.setUTCDate(next.getUTCDate() + 1)
  return next
}

/** JavaScript's week begins on Sunday. */
const weekdayOf = (date: Date): Weekday => WEEKDAYS[(date.getUTCDay() + 6) % 7]!
