/** The receipt: the dated result of restoring a backup into a machine of its own, booting it and looking at it. */

export const RECEIPT_STATES = ['running', 'passed', 'failed'] as const
export type ReceiptState = (typeof RECEIPT_STATES)[number]

/** One thing that was looked at. `unknown`: nothing could tell, for example a file system we cannot check. */
export interface ReceiptCheck {
  name: 'digests' | 'image' | 'boot' | 'agent' | 'filesystem'
  outcome: 'passed' | 'failed' | 'unknown'
  /** For people: what was seen. */
  detail: string
}
