/** What a caller sees of a piece of accepted work. */
export const OPERATION_STATES = ['pending', 'running', 'succeeded', 'failed', 'cancelled'] as const
export type OperationState = (typeof OPERATION_STATES)[number]

export const OPERATION_KINDS = [
  'instance.create',
  'instance.start',
  'instance.stop',
  'instance.reboot',
  'instance.rebuild',
  'instance.delete',
  'instance.restore',
  'snapshot.create',
  'snapshot.rollback',
  'snapshot.delete',
  'backup.create',
  'backup.verify',
  'image.build',
  'image.import',
  'image.convert',
] as const
export type OperationKind = (typeof OPERATION_KINDS)[number]

export const isOpen = (state: OperationState): boolean => state === 'pending' || state === 'running'
