/** Write once, read many (S3 user guide, "Locking objects with Object Lock"). */
export const RETENTION_MODES = ['GOVERNANCE', 'COMPLIANCE'] as const
export type RetentionMode = (typeof RETENTION_MODES)[number]

export interface Retention {
  mode: RetentionMode
  until: Date
}
export interface DefaultRetention {
  mode: RetentionMode
  /** Just one of them. */
  days?: number
  years?: number
}

export const RETENTION_DAYS_MAX = 36_500 // S3 user guide, "Managing Object Lock"
export const RETENTION_YEARS_MAX = 100

/**
 * Whether a version's retention may become another, or with null none. What has run out binds nobody. COMPLIANCE is
 * only ever extended; GOVERNANCE can be made stricter by all who may set it, and weaker by those who may bypass it.
 */
export function canChangeRetention(
  current: Retention | null,
  next: Retention | null,
  now: Date,
  bypassesGovernance: boolean,
): boolean {
  if (current === null || current.until <= now) return true
  const isExtended = next !== null && next.until >= current.until
  if (current.mode === 'COMPLIANCE') return isExtended && next.mode === 'COMPLIANCE'
  return bypassesGovernance || isExtended
}
