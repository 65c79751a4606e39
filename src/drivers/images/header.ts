/**
 * What the first bytes of a disk image say, read before any other program sees it. qcow2: QEMU's docs/interop/qcow2.txt
 * (big-endian numbers).
 */
import { CloudError } from '../../model/errors.ts'

/** Enough for the qcow2 header and its extensions, which lie in the first cluster. */
export const HEADER_BYTES = 64 * 1024

export type ImageFormat = 'qcow2' | 'raw'

/** Beginnings of what is no raw disk, whatever the user declared. */
const FOREIGN: readonly [name: string, magic: Buffer, advice?: string][] = [
  ['qcow2', Buffer.from('QFI\xfb', 'latin1')],
  ['QED', Buffer.from('QED\0', 'latin1')],
  ['VMDK', Buffer.from('KDMV')],
  ['VMDK', Buffer.from('COWD')],
  ['VMDK', Buffer.from('# Disk DescriptorFile')],
  ['VHDX', Buffer.from('vhdxfile')],
  ['VHD', Buffer.from('conectix')],
  ['LUKS', Buffer.from('LUKS\xba\xbe', 'latin1')],
  ['xz', Buffer.from('\xfd7zXZ\0', 'latin1'), 'decompress it first (`unxz`)'],
  ['gzip', Buffer.from('\x1f\x8b', 'latin1'), 'decompress it first (`gunzip`)'],
  ['zstd', Buffer.from('\x28\xb5\x2f\xfd', 'latin1'), 'decompress it first (`unzstd`)'],
  ['bzip2', Buffer.from('BZh'), 'decompress it first (`bunzip2`)'],
  ['zip', Buffer.from('PK\x03\x04', 'latin1'), 'unpack it first'],
]

const INCOMPATIBLE = { corrupt: 1n << 1n, dataFile: 1n << 2n }
const EXTENSION_END = 0
const EXTENSION_DATA_FILE = 0x44415441

/** Throws `invalid` unless the file can be what it was declared to be and leads nowhere else. */
export function checkHeader(header: Buffer, format: ImageFormat, fileBytes: number, maxVirtualBytes: number): void {
  const found = FOREIGN.find(([, magic]) => header.subarray(0, magic.length).equals(magic))
  if (found?.[2]) throw wrong(`the file is compressed (${found[0]}); ${found[2]}`)
  if (format === 'raw') {
    if (found) throw wrong(`it was declared as raw, but begins like ${found[0]}`)
    if (fileBytes === 0) throw wrong('the file is empty')
    if (fileBytes % 512 !== 0) throw wrong('it does not end at a sector of 512 bytes, so it was cut off')
    if (fileBytes > maxVirtualBytes) throw wrong(`its disk is larger than ${maxVirtualBytes} bytes`)
    return
  }
  if (found?.[0] !== 'qcow2')
    throw wrong(`it was declared as qcow2, but ${found ? `begins like ${found[0]}` : 'is not'}`)
  if (header.length < 104) throw wrong('it was cut off')
  const version = header.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw wrong(`it is qcow2 of version ${version}`)
  if (header.readBigUInt64BE(8) !== 0n || header.readUInt32BE(16) !== 0) {
    throw wrong('it reads from another file (backing file)')
  }
  const virtualBytes = header.readBigUInt64BE(24)
  if (virtualBytes > BigInt(maxVirtualBytes)) throw wrong(`its disk is larger than ${maxVirtualBytes} bytes`)
  if (header.readUInt32BE(32) !== 0) throw wrong('it is encrypted')
  if (version === 2) return
  const features = header.readBigUInt64BE(72)
  if (features & INCOMPATIBLE.corrupt) throw wrong('it is marked as corrupt')
  if (features & INCOMPATIBLE.dataFile) throw wrong('its content lies in another file (data file)')
  for (let at = header.readUInt32BE(100); at + 8 <= header.length; ) {
    const type = header.readUInt32BE(at)
    if (type === EXTENSION_END) break
    if (type === EXTENSION_DATA_FILE) throw wrong('its content lies in another file (data file)')
    at += 8 + Math.ceil(header.readUInt32BE(at + 4) / 8) * 8
  }
}

const wrong = (why: string) => new CloudError('invalid', `the image is refused: ${why}`)
