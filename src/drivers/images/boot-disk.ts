/**
 * A bootable disk out of a root filesystem image, without root, mounts or loop devices: an MBR with one partition (the
 * last thing on the disk, so that it can grow by four bytes) and GRUB in the gap before it, put there by hand.
 * Formats: GRUB 2.06, boot/i386/pc/boot.S and diskboot.S (offsets below); the classic MBR.
 */
import { open, readFile } from 'node:fs/promises'
import { CloudError } from '../../model/errors.ts'

const SECTOR = 512
export const PARTITION_SECTOR = 2048
const LINUX = 0x83

/** GRUB modules that a core image needs to read this disk, to be given to grub-mkimage; the prefix goes with `-p`. */
export const GRUB_MODULES = ['biosdisk', 'part_msdos', 'ext2', 'linux', 'serial', 'terminal', 'echo', 'test'] as const
export const GRUB_PREFIX = '(,msdos1)/boot/grub'

/** First sector and the code after it. `core` is grub-mkimage's output for i386-pc, `boot` GRUB's own boot.img. */
export function bootSectors(boot: Buffer, core: Buffer, partitionSectors: number): Buffer {
  const sectors = Math.ceil(core.length / SECTOR)
  if (sectors + 1 > PARTITION_SECTOR)
    throw new CloudError('invalid', 'the boot loader does not fit before the partition')
  const gap = Buffer.alloc((1 + sectors) * SECTOR)
  boot.copy(gap, 0, 0, 440)
  gap.writeBigUInt64LE(1n, 0x5c) // where the core begins
  gap.fill(0x90, 0x66, 0x68) // no jump over the check of the drive number: the BIOS's is right
  gap.writeUInt32LE(0x48564e01, 440) // disk signature
  gap[446] = 0x80
  gap.fill(0xff, 447, 450) // CHS numbers say nothing; readers use the sectors
  gap[450] = LINUX
  gap.fill(0xff, 451, 454)
  gap.writeUInt32LE(PARTITION_SECTOR, 454)
  gap.writeUInt32LE(partitionSectors, 458)
  gap.writeUInt16LE(0xaa55, 510)
  core.copy(gap, SECTOR)
  // The last entry of the block list in the core's first sector: the rest lies behind it, to be loaded at 0x8200.
  gap.writeBigUInt64LE(2n, SECTOR + 500)
  gap.writeUInt16LE(sectors - 1, SECTOR + 508)
  gap.writeUInt16LE(0x820, SECTOR + 510)
  return gap
}

/** Fills the first MiB of a raw disk whose partition (from `PARTITION_SECTOR` on) holds the root filesystem. */
export async function makeBootable(disk: string, bootFile: string, coreFile: string): Promise<void> {
  const handle = await open(disk, 'r+')
  try {
    const { size } = await handle.stat()
    const gap = bootSectors(await readFile(bootFile), await readFile(coreFile), size / SECTOR - PARTITION_SECTOR)
    await handle.write(gap, 0, gap.length, 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
