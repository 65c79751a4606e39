/**
 * Writes a small FAT12 volume with long file names, in memory and without any tool: a first-boot seed is three short
 * text files, and starting mkfs and mcopy for them would cost more than the whole volume. Layout after Microsoft's
 * "FAT: General Overview of On-Disk Format" 1.03. The same input gives the same bytes.
 */
const SECTOR = 512
const SECTORS = 2048 // 1 MiB, far under FAT12's 4084 clusters of one sector
const FAT_SECTORS = Math.ceil((SECTORS * 1.5) / SECTOR)
const ROOT_ENTRIES = 112
const ROOT_SECTORS = (ROOT_ENTRIES * 32) / SECTOR
const DATA_SECTOR = 1 + 2 * FAT_SECTORS + ROOT_SECTORS
const END_OF_CHAIN = 0xfff
const DATE = ((2020 - 1980) << 9) | (1 << 5) | 1 // fixed: what is inside depends on nothing but the input

/** A volume of 1 MiB. `label`: at most 11 capital letters. Throws `RangeError` when the files do not fit. */
export function fatVolume(label: string, files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const volume = Buffer.alloc(SECTORS * SECTOR)
  writeBootSector(volume, label)
  const fat = new Uint16Array(SECTORS)
  fat[0] = 0xff8
  fat[1] = END_OF_CHAIN
  const entries: Buffer[] = [shortEntry(label.padEnd(11), 0x08, 0, 0)]
  let next = 2
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content)
    const first = bytes.length ? next : 0
    const clusters = Math.ceil(bytes.length / SECTOR)
    if (DATA_SECTOR + next - 2 + clusters > SECTORS) throw new RangeError('the files do not fit on the volume')
    bytes.copy(volume, (DATA_SECTOR + next - 2) * SECTOR)
    for (let i = 0; i < clusters; i++, next++) fat[next] = i === clusters - 1 ? END_OF_CHAIN : next + 1
    const short = shortName(name, entries.length)
    entries.push(...longEntries(name, short), shortEntry(short, 0x20, first, bytes.length))
  }
  if (entries.length > ROOT_ENTRIES) throw new RangeError('too many files for the volume')
  const table = packFat(fat)
  table.copy(volume, SECTOR)
  table.copy(volume, (1 + FAT_SECTORS) * SECTOR)
  Buffer.concat(entries).copy(volume, (1 + 2 * FAT_SECTORS) * SECTOR)
  return volume
}

function writeBootSector(volume: Buffer, label: string): void {
  Buffer.from([0xeb, 0x3c, 0x90]).copy(volume)
  volume.write('MSWIN4.1', 3, 'latin1')
  volume.writeUInt16LE(SECTOR, 11)
  volume[13] = 1 // sectors per cluster
  volume.writeUInt16LE(1, 14) // reserved sectors
  volume[16] = 2 // tables
  volume.writeUInt16LE(ROOT_ENTRIES, 17)
  volume.writeUInt16LE(SECTORS, 19)
  volume[21] = 0xf8
  volume.writeUInt16LE(FAT_SECTORS, 22)
  volume.writeUInt16LE(32, 24) // sectors per track
  volume.writeUInt16LE(2, 26) // heads
  volume[36] = 0x80
  volume[38] = 0x29 // the three fields below are there
  volume.writeUInt32LE(0x5eed5eed, 39)
  volume.write(label.padEnd(11), 43, 'latin1')
  volume.write('FAT12   ', 54, 'latin1')
  volume.writeUInt16LE(0xaa55, 510)
}

/** Two 12-bit numbers in three bytes, low bits first. */
function packFat(fat: Uint16Array): Buffer {
  const table = Buffer.alloc(FAT_SECTORS * SECTOR)
  for (let i = 0; i < fat.length; i += 2) {
    const pair = fat[i]! | (fat[i + 1]! << 12)
    table.writeUIntLE(pair, (i / 2) * 3, 3)
  }
  return table
}

/** The number keeps names apart whose beginnings are the same. */
const shortName = (name: string, number: number): string =>
  `${name
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '')
    .slice(0, 5)}~${number}`.padEnd(11)

function shortEntry(name: string, attributes: number, cluster: number, size: number): Buffer {
  const entry = Buffer.alloc(32)
  entry.write(name, 0, 'latin1')
  entry[11] = attributes
  for (const at of [16, 18, 24]) entry.writeUInt16LE(DATE, at)
  entry.writeUInt16LE(cluster, 26)
  entry.writeUInt32LE(size, 28)
  return entry
}

const LONG_NAME_AT = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30] // byte offsets of its 13 characters

/** A long name lies in pieces of 13 characters before the short entry, the last piece first. */
function longEntries(name: string, short: string): Buffer[] {
  let sum = 0
  for (const byte of Buffer.from(short, 'latin1')) sum = (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff
  const pieces = Math.ceil(name.length / 13)
  return Array.from({ length: pieces }, (_, index) => {
    const piece = pieces - index
    const entry = Buffer.alloc(32)
    entry[0] = piece | (index === 0 ? 0x40 : 0)
    entry[11] = 0x0f
    entry[13] = sum
    LONG_NAME_AT.forEach((at, i) => {
      const position = (piece - 1) * 13 + i
      entry.writeUInt16LE(
        position < name.length ? name.charCodeAt(position) : position === name.length ? 0 : 0xffff,
        at,
      )
    })
    return entry
  })
}
