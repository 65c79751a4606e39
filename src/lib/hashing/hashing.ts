/** Digests of streams, off the event loop where they are long. */
export type DigestAlgorithm = 'md5' | 'sha256' | 'sha1' | 'crc32' | 'crc32c' | 'crc64nvme'

export interface Hashing {
  /** `sizeBytes` null = unknown, taken for long. */
  hasher(algorithms: readonly DigestAlgorithm[], sizeBytes: number | null): Hasher
  close(): Promise<void>
}
export interface Hasher {
  /** The bytes must stay as they are until the promise, if there is one, is fulfilled. */
  update(bytes: Uint8Array): Promise<void> | undefined
  /** Big-endian values. */
  digest(): Promise<ReadonlyMap<DigestAlgorithm, Buffer>>
  discard(): void
}
