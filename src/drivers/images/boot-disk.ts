/**
 * A bootable disk out of a root filesystem image, without root, mounts or loop devices: an MBR with one partition (the
 * last thing on the disk, so that it can grow by four bytes) and GRUB in the gap before it, put there by hand.
 * Formats: GRUB 2.06, boot/i386/pc/boot.S and diskboot.S (offsets below); the classic MBR.
 */
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CloudError } from '../../model/errors.ts'
import { findIn, runIn } from './packages.ts'

const SECTOR = 512
const PARTITION_SECTOR = 2048
const LINUX = 0x83

/** Debian packages that `makeBootable` uses, to be unpacked into its `tree`. */
export const GRUB_MATERIAL = [
  ...[
    'grub-common',
    'grub-pc-bin',
    'libdevmapper1.02.1',
    'liblzma5',
    'libc6',
    'libselinux1',
    'libudev1',
    'libpcre2-8-0',
  ],
]
const GRUB_MODULES = ['biosdisk', 'part_msdos', 'ext2', 'linux']

/**
 * GRUB must read it: newer mke2fs switches things on that GRUB 2.06 does not know. The descriptors reserved are enough
 * to grow to 2 TiB while mounted, as far as an MBR reaches.
 */
export const EXT4 = [...['-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '0', '-O', '^metadata_csum_seed,^orphan_file']]
export const EXT4_EXTENDED = [
  ...[`offset=${PARTITION_SECTOR * SECTOR}`, `resize=${2 ** 29}`, 'lazy_itable_init=1', 'root_owner=0:0', 'nodiscard'],
].join(',')
export const blocksOf = (diskMib: number): string => String((diskMib * 2 ** 20 - PARTITION_SECTOR * SECTOR) / 4096)

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

/**
 * Fills the first MiB of a raw disk whose partition (from `PARTITION_SECTOR` on) holds the root filesystem. `config`:
 * GRUB commands run at boot. `tree` holds the unpacked `GRUB_MATERIAL`.
 */
export async function makeBootable(disk: string, config: string, tree: string, work: string): Promise<void> {
  const grub = findIn(tree, 'usr/lib/grub/i386-pc')
  const configFile = join(work, 'grub.cfg')
  const coreFile = join(work, 'core.img')
  await writeFile(configFile, config)
  const args = ['-O', 'i386-pc', '-d', grub, '-p', '(,msdos1)/boot/grub', '-c', configFile, '-o', coreFile]
  await runIn(tree, 'grub-mkimage', [...args, ...GRUB_MODULES])
  const [boot, core] = [await readFile(join(grub, 'boot.img')), await readFile(coreFile)]
  const handle = await open(disk, 'r+')
  try {
    const { size } = await handle.stat()
    const gap = bootSectors(boot, core, size / SECTOR - PARTITION_SECTOR)
    await handle.write(gap, 0, gap.length, 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
