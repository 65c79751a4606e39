/** Every strand there is: what a worker runs, and what the crash tests run through. */

import { backupStrand } from './backup/backup.ts'
import type { StrandDefinition } from './engine/strand.ts'
import { imageStrand } from './image/image.ts'
import { instanceStrand } from './instance/instance.ts'
import { receiptStrand } from './receipt/receipt.ts'
import type { WorkerTools } from './tools.ts'

export const DEFINITIONS: readonly StrandDefinition<WorkerTools>[] = [
  instanceStrand as unknown as StrandDefinition<WorkerTools>,
  backupStrand as unknown as StrandDefinition<WorkerTools>,
  imageStrand as unknown as StrandDefinition<WorkerTools>,
  receiptStrand as unknown as StrandDefinition<WorkerTools>,
]

export const stepDeadline = (kind: string, step: string): number | null =>
  DEFINITIONS.find((definition) => definition.kind === kind)?.steps[step]?.deadlineMs ?? null
