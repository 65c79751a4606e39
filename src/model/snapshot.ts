/** The snapshot: a moment of an instance's disk, and maybe of its memory, kept on the host's own disk. */

export const SNAPSHOT_STATES = ['creating', 'ready', 'reverting', 'deleting', 'failed'] as const
export type SnapshotState = (typeof SNAPSHOT_STATES)[number]

export type SnapshotAction = 'rollback' | 'delete'

const ALLOWED_FROM: Record<SnapshotAction, readonly SnapshotState[]> = {
  rollback: ['ready'],
  delete: ['ready', 'failed'],
}

export const canSnapshot = (action: SnapshotAction, state: SnapshotState): boolean =>
  ALLOWED_FROM[action].includes(state)

export const SNAPSHOT_NAME_MAX = 255
