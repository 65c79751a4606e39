/**
 * Keeps the bytes of object storage as blobs: immutable, named at random, synced before anybody learns of them. What a
 * blob is part of (which key, version, part) only the database knows, so no key ever becomes a file path, and copies,
 * completed uploads and part copies move no bytes. One contract suite (contract.ts) runs on every driver.
 */

/** 32 hex digits, random. */
export type BlobId = string

export interface ObjectsDriver {
  readonly name: 'filesystem' | 's3'
  /** What the store behind it turned out to be able to do, for the log and the documentation. */
  readonly abilities: Readonly<Record<string, boolean>>
  /** Makes ready and probes; throws a CloudError `unavailable` that says what the store lacks. Safe to repeat. */
  open(): Promise<void>
  close(): Promise<void>
  /**
   * A new blob, to be written front to back. `sizeBytes` is the exact size where it is known; null for a body whose
   * length only shows at its end. Throws `unavailable` when the store is full or away.
   */
  create(sizeBytes: number | null): Promise<BlobWriter>
  /**
   * Reads `length` bytes from `start`. The blob is open when this returns, so that a removal in the meantime does not
   * cut the reader short. Throws `BlobMissing` when it is not there.
   */
  read(id: BlobId, start: number, length: number): Promise<BlobReader>
  /** Removes blobs for good; the unknown ones are no error. */
  remove(ids: readonly BlobId[]): Promise<void>
  /** Every blob there is, in no order; also what an upload under way has written so far, where it shows. */
  list(signal?: AbortSignal): AsyncIterable<StoredBlob>
  /** Bytes that may still be written; null when nobody can tell. */
  freeBytes(): Promise<number | null>
}

export interface BlobWriter {
  readonly id: BlobId
  /** The buffer may be used again once the promise is fulfilled. Calls follow one another. */
  write(bytes: Uint8Array): Promise<void>
  /** Bytes and name are durable when this returns. */
  finish(): Promise<void>
  /** Leaves nothing behind; safe after a failed `write` or `finish`, never throws, does nothing to a finished blob. */
  discard(): Promise<void>
}

export interface BlobReader {
  /** Fills the buffer as far as it can with the next bytes; 0 at the end. A short blob throws, never ends early. */
  read(into: Uint8Array): Promise<number>
  /** Never throws. */
  close(): Promise<void>
}

export interface StoredBlob {
  id: BlobId
  sizeBytes: number
  modifiedAt: Date
}

/** Not what was written: shorter, or not decipherable. Must be reported, never served as less or other data. */
export class BlobDamaged extends Error {
  readonly blobId: BlobId
  constructor(id: BlobId, how: string, cause?: unknown) {
    super(`blob ${id} ${how}`, { cause })
    this.name = 'BlobDamaged'
    this.blobId = id
  }
}

/** A row names it, the store does not have it. */
export class BlobMissing extends BlobDamaged {
  constructor(id: BlobId, cause?: unknown) {
    super(id, 'is missing', cause)
    this.name = 'BlobMissing'
  }
}
