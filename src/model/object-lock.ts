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
