/**
 * Where the partitions of a disk lie and what kind of file system begins somewhere, from the bytes alone. The bytes are
 * a guest's: every number is bounded before it is used, and nothing here looks anywhere but at what it is given.
 */
export interface Partition {
  /** `1`, `2` … as the guest's kernel counts them; `disk` when the disk has no table. */
  name: string
  offset: number
  length: number
}

/** What `partitionsOf` wants to see: both tables with 128 entries of the usual size end far below. */
export const TABLE_BYTES = 1 << 20
/** What `filesystemAt` wants to see: the farthest mark, that of Btrfs, lies at 64 KiB. */
export const MARK_BYTES = 68 << 10

const SECTOR = 512
const PARTITIONS_MAX = 128

/** Extended partitions of an MBR are named, and not what lies in them. */
export function partitionsOf(head: Buffer, diskBytes: number): Partition[] {
  const whole = [{ name: 'disk', offset: 0, length: diskBytes }]
  // A file system's boot sector may look like a table: FAT and NTFS end theirs with the same two bytes.
  if (filesystemAt(head) !== null || head.length < SECTOR || head.readUInt16LE(510) !== 0xaa55) return whole
  const mbr = readMbr(head)
  const found = mbr.some(({ type }) => type === GPT_GUARD) ? readGpt(head) : mbr.filter(({ type }) => type !== 0)
  const fitting = found.filter(({ offset, length }) => offset > 0 && length > 0 && offset + length <= diskBytes)
  return fitting.length > 0 ? fitting.map(({ name, offset, length }) => ({ name, offset, length })) : whole
}

const GPT_GUARD = 0xee // UEFI Specification 2.10, 5.2.3: the one entry of a GPT disk's MBR

function readMbr(head: Buffer): (Partition & { type: number })[] {
  return [0, 1, 2, 3].map((index) => {
    const at = 446 + 16 * index
    const offset = head.readUInt32LE(at + 8) * SECTOR
    const length = head.readUInt32LE(at + 12) * SECTOR
    return { name: String(index + 1), type: head[at + 4] ?? 0, offset, length }
  })
}

/** UEFI Specification 2.10, 5.3. */
function readGpt(head: Buffer): Partition[] {
  if (head.toString('latin1', SECTOR, SECTOR + 8) !== 'EFI PART') return []
  const first = Number(head.readBigUInt64LE(SECTOR + 72)) * SECTOR
  const count = Math.min(head.readUInt32LE(SECTOR + 80), PARTITIONS_MAX)
  const size = head.readUInt32LE(SECTOR + 84)
  if (size < 128 || size > 4096) return []
  const found: Partition[] = []
  for (let index = 0; index < count; index++) {
    const at = first + index * size
    if (at + 128 > head.length) break
    if (head.subarray(at, at + 16).every((byte) => byte === 0)) continue
    const from = Number(head.readBigUInt64LE(at + 32)) * SECTOR
    const to = (Number(head.readBigUInt64LE(at + 40)) + 1) * SECTOR
    found.push({ name: String(index + 1), offset: from, length: to - from })
  }
  return found
}

const text = (bytes: Buffer, at: number, length: number) => bytes.toString('latin1', at, at + length)

/** By the marks that blkid(8) knows them by; null when there is none. */
export function filesystemAt(head: Buffer): string | null {
  if (head.length >= 1082 && head.readUInt16LE(1080) === 0xef53) return extVersion(head)
  if (text(head, 0, 4) === 'XFSB') return 'xfs'
  if (text(head, 0x10040, 8) === '_BHRfS_M') return 'btrfs'
  if (text(head, 3, 8) === 'NTFS    ') return 'ntfs'
  if (text(head, 82, 5) === 'FAT32' || /^FAT1[26] /.test(text(head, 54, 6))) return 'vfat'
  if (text(head, 4086, 10) === 'SWAPSPACE2') return 'swap'
  if (text(head, 0, 6) === 'LUKS\xba\xbe') return 'luks'
  if (text(head, 512, 8) === 'LABELONE') return 'lvm'
  return null
}

/** By its features: a journal makes it ext3, extents ext4 (Linux, Documentation/filesystems/ext4/super.rst). */
function extVersion(head: Buffer): 'ext2' | 'ext3' | 'ext4' {
  const hasJournal = (head.readUInt32LE(1024 + 0x5c) & 0x4) !== 0
  const hasExtents = (head.readUInt32LE(1024 + 0x60) & 0x40) !== 0
  return hasExtents ? 'ext4' : hasJournal ? 'ext3' : 'ext2'
}
