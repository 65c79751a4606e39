/** The disk that an upload reads, wherever its bytes come from. */
import { CloudError } from '../../model/errors.ts'
import type { DiskSource } from '../compute/compute.ts'
import type { BlockMap } from './block-map.ts'
import { openFileSource } from './file-source.ts'
import { openNbdSource } from './nbd-source.ts'
import { SOURCE_GONE } from './work.ts'

export interface DiskReader {
  /** What holds data; all else reads as zeros. */
  readonly data: BlockMap
  /** What may have changed since the mark; null when nobody knows. */
  readonly changed: BlockMap | null
  /** Fills the buffer. Any number may be under way. Throws `SOURCE_GONE`. */
  read(offset: number, into: Buffer): Promise<void>
  close(): Promise<void>
}

/** Throws `SOURCE_GONE` also when the disk has another size. */
export function openSource(source: DiskSource, diskBytes: number): Promise<DiskReader> {
  switch (source.kind) {
    case 'file':
      return openFileSource(source, diskBytes)
    case 'nbd':
      return openNbdSource(source, diskBytes)
  }
}

export const sourceGone = (cause: unknown): CloudError =>
  new CloudError(SOURCE_GONE, 'the export of the disk cannot be read any more', { cause })
