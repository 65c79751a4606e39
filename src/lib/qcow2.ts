/**
 * A qcow2 image as a plain arithmetic layout, so that it can be written, or sent in ranges, without building it first:
 * version 3, clusters of 64 KiB, no backing file, no compression. Which chunks of the disk hold data decides where
 * every byte lies: header, refcount table and blocks, L1 table, L2 tables, then the data chunks in the disk's order.
 * Format: QEMU, docs/interop/qcow2.txt. All integers are big-endian.
 */

export interface Qcow2Shape {
  /** A multiple of 512. */
  diskBytes: number
  /** A multiple of 64 KiB that divides 512 MiB. */
  chunkBytes: number
  /** The chunks that hold data, ascending. */
  chunks: readonly number[] | Uint32Array
}

/** A part of the image. `zeros` is what fills up the last cluster of a disk that ends inside one. */
export type Qcow2Part =
  | { kind: 'metadata'; bytes: Buffer }
  | { kind: 'data'; chunk: number; from: number; length: number }
  | { kind: 'zeros'; length: number }

export interface Qcow2Layout {
  /** Of the whole image. */
  sizeBytes: number
  /** Where the first data chunk begins. */
  dataOffset: number
  /** Where the n-th data chunk begins. */
  offsetOf(rank: number): number
  /** The image from `start` up to `end`, in order; metadata in pieces of at most a cluster. */
  parts(start: number, end: number): Generator<Qcow2Part>
}

const CLUSTER = 64 * 1024
const ENTRIES = CLUSTER / 8 // of a table in one cluster
const REGION_BYTES = ENTRIES * CLUSTER // of disk behind one L2 table
const REFCOUNTS = CLUSTER / 2 // of 16 bits in one block
const HEADER_BYTES = 104
const COPIED = 1n << 63n // "refcount is exactly one", needed for writing in place

export function layoutQcow2({ diskBytes, chunkBytes, chunks }: Qcow2Shape): Qcow2Layout {
  if (diskBytes % 512 !== 0 || chunkBytes % CLUSTER !== 0 || REGION_BYTES % chunkBytes !== 0) {
    throw new Error(`a disk of ${diskBytes} bytes in chunks of ${chunkBytes} has no qcow2 layout`)
  }
  const perRegion = REGION_BYTES / chunkBytes
  const lengthOf = (chunk: number) => Math.min(chunkBytes, diskBytes - chunk * chunkBytes)
  /** Of regions that hold data, ascending, each with the rank of its first chunk. */
  const regions: { region: number; rank: number }[] = []
  for (let rank = 0; rank < chunks.length; rank++) {
    const region = Math.floor(chunks[rank]! / perRegion)
    if (regions.at(-1)?.region !== region) regions.push({ region, rank })
  }

  const l1Entries = Math.ceil(diskBytes / REGION_BYTES)
  const l1Clusters = Math.ceil(l1Entries / ENTRIES)
  const last = chunks.at(-1)
  // Only the disk's last chunk can be short.
  const dataClusters =
    last === undefined ? 0 : ((chunks.length - 1) * chunkBytes) / CLUSTER + Math.ceil(lengthOf(last) / CLUSTER)
  const { total, blocks, tables } = countClusters(1 + l1Clusters + regions.length + dataClusters)
  const tableAt = 1
  const blocksAt = tableAt + tables
  const l1At = blocksAt + blocks
  const l2At = l1At + l1Clusters
  const dataAt = l2At + regions.length
  const dataOffset = dataAt * CLUSTER
  const sizeBytes = total * CLUSTER
  const offsetOf = (rank: number) => dataOffset + rank * chunkBytes

  function metadataCluster(number: number): Buffer {
    const cluster = Buffer.alloc(CLUSTER)
    if (number === 0) writeHeader(cluster, { diskBytes, l1Entries, l1At, tableAt, tables })
    else if (number < blocksAt) {
      const first = (number - tableAt) * ENTRIES
      for (let i = 0; i < ENTRIES && first + i < blocks; i++) {
        cluster.writeBigUInt64BE(BigInt((blocksAt + first + i) * CLUSTER), i * 8)
      }
    } else if (number < l1At) {
      const first = (number - blocksAt) * REFCOUNTS
      for (let i = 0; i < REFCOUNTS && first + i < total; i++) cluster.writeUInt16BE(1, i * 2)
    } else if (number < l2At) {
      const first = (number - l1At) * ENTRIES
      regions.forEach(({ region }, i) => {
        if (region < first || region >= first + ENTRIES) return
        cluster.writeBigUInt64BE(BigInt((l2At + i) * CLUSTER) | COPIED, (region - first) * 8)
      })
    } else writeL2(cluster, number - l2At)
    return cluster
  }

  function writeL2(cluster: Buffer, number: number): void {
    const { region, rank: firstRank } = regions[number]!
    const endRank = regions[number + 1]?.rank ?? chunks.length
    for (let rank = firstRank; rank < endRank; rank++) {
      const chunk = chunks[rank]!
      const firstEntry = ((chunk - region * perRegion) * chunkBytes) / CLUSTER
      for (let i = 0; i * CLUSTER < lengthOf(chunk); i++) {
        cluster.writeBigUInt64BE(BigInt(offsetOf(rank) + i * CLUSTER) | COPIED, (firstEntry + i) * 8)
      }
    }
  }

  function* parts(start: number, end: number): Generator<Qcow2Part> {
    for (let at = start; at < Math.min(end, sizeBytes); ) {
      const part = partAt(at, Math.min(end, sizeBytes))
      yield part
      at += part.kind === 'metadata' ? part.bytes.length : part.length
    }
  }

  function partAt(at: number, end: number): Qcow2Part {
    if (at < dataOffset) {
      const from = at % CLUSTER
      return { kind: 'metadata', bytes: metadataCluster((at - from) / CLUSTER).subarray(from, from + end - at) }
    }
    const rank = Math.floor((at - dataOffset) / chunkBytes)
    const chunk = chunks[rank]!
    const from = at - offsetOf(rank)
    const left = lengthOf(chunk) - from
    if (left <= 0) return { kind: 'zeros', length: end - at }
    return { kind: 'data', chunk, from, length: Math.min(left, end - at) }
  }

  return { sizeBytes, dataOffset, offsetOf, parts }
}

/** Refcounts count the clusters of the refcounts as well. */
function countClusters(others: number): { total: number; blocks: number; tables: number } {
  let [total, blocks, tables] = [others, 0, 0]
  for (;;) {
    const needsBlocks = Math.ceil(total / REFCOUNTS)
    const needsTables = Math.ceil(needsBlocks / ENTRIES)
    if (needsBlocks === blocks && needsTables === tables) return { total, blocks, tables }
    blocks = needsBlocks
    tables = needsTables
    total = others + blocks + tables
  }
}

interface Header {
  diskBytes: number
  l1Entries: number
  l1At: number
  tableAt: number
  tables: number
}

function writeHeader(cluster: Buffer, { diskBytes, l1Entries, l1At, tableAt, tables }: Header): void {
  cluster.writeUInt32BE(0x514649fb, 0) // "QFI" and 0xfb
  cluster.writeUInt32BE(3, 4) // version
  cluster.writeUInt32BE(16, 20) // cluster bits
  cluster.writeBigUInt64BE(BigInt(diskBytes), 24)
  cluster.writeUInt32BE(l1Entries, 36)
  cluster.writeBigUInt64BE(BigInt(l1At * CLUSTER), 40)
  cluster.writeBigUInt64BE(BigInt(tableAt * CLUSTER), 48)
  cluster.writeUInt32BE(tables, 56)
  cluster.writeUInt32BE(4, 96) // refcount order: 16 bits
  cluster.writeUInt32BE(HEADER_BYTES, 100)
  // What follows is zeros: no snapshots, no features, and the end of the header's extensions.
}
