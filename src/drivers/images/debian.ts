/**
 * The `debian-12` image: Debian bookworm from its own archive by mmdebstrap, with cloud-init, OpenSSH and the QEMU
 * guest agent, tuned in `debian-guest/` to boot in bearable time under software emulation. Takes minutes, so it runs
 * at the lowest priority. Works as root and, where user namespaces are allowed, as an ordinary user.
 */
import { open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../lib/run.ts'
import { blocksOf, EXT4, EXT4_EXTENDED, GRUB_MATERIAL, makeBootable } from './boot-disk.ts'
import type { BuildFolders, Report } from './micro.ts'
import { fetchPackages, unpack } from './packages.ts'

const INCLUDE = [
  ...[
    'linux-image-cloud-amd64',
    'initramfs-tools',
    'zstd',
    'systemd-sysv',
    'systemd-resolved',
    'dbus',
    'libpam-systemd',
  ],
  ...['openssh-server', 'cloud-init', 'cloud-guest-utils', 'fdisk', 'qemu-guest-agent', 'iproute2', 'iputils-ping'],
  ...['ca-certificates', 'netbase', 'less', 'nano'],
]
const DISK_MIB = 2048 // sparse; cloud-init grows it to the disk it finds itself on
const BUILD_MS = 30 * 60_000
const GRUB_CONFIG = `linux /vmlinuz root=LABEL=debian-root ro console=tty0 console=ttyS0,115200 quiet net.ifnames=0
initrd /initrd.img
boot
`

/** Builds it and answers the path of a qcow2 in `work`. */
export async function buildDebian({ work, cache }: BuildFolders, report: Report): Promise<string> {
  const isRoot = process.getuid?.() === 0
  report(0, 'fetching the boot loader')
  const tree = join(work, 'tree')
  await unpack(await fetchPackages(GRUB_MATERIAL, cache), tree)

  report(5, 'installing Debian into a folder')
  const tar = join(work, 'root.tar')
  const guest = (name: string) => readFile(join(import.meta.dirname, 'debian-guest', name), 'utf8')
  const hooks = [`--essential-hook=${await guest('prepare')}`, `--customize-hook=${await guest('customize')}`]
  const options = ['--variant=minbase', '--format=tar', `--mode=${isRoot ? 'root' : 'unshare'}`, ...hooks]
  let lines = 0
  await run('nice', ['-n', '19', 'mmdebstrap', ...options, `--include=${INCLUDE.join(',')}`, 'bookworm', tar], {
    timeoutMs: BUILD_MS,
    onStderr: (text) => {
      lines += text.split('\n').length
      report(Math.min(70, 5 + Math.floor(lines / 5)), 'installing Debian into a folder')
    },
  })

  report(75, 'writing the disk')
  const raw = join(work, 'disk.raw')
  await writeFile(raw, '')
  await truncate(raw, DISK_MIB * 1024 * 1024)
  // Under fakeroot the owners that tar restores are remembered, and mke2fs sees them.
  const script = 'set -e; mkdir "$1"; tar -x --numeric-owner -p -C "$1" -f "$2"; shift 2; exec mke2fs "$@"'
  const shape = ['-J', 'size=32', '-L', 'debian-root', '-E', EXT4_EXTENDED, '-d', join(work, 'root')]
  const command = ['sh', '-c', script, 'sh', join(work, 'root'), tar, ...EXT4, ...shape, raw, blocksOf(DISK_MIB)]
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin` // an ordinary user's may lack them
  await run('nice', ['-n', '19', ...(isRoot ? [] : ['fakeroot']), ...command], { env: { ...process.env, PATH: path } })
  await rm(tar)
  await makeBootable(raw, GRUB_CONFIG, tree, work)

  report(90, 'converting')
  const disk = join(work, 'disk.qcow2')
  await run('nice', ['-n', '19', 'qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, disk])
  await rm(raw)
  const handle = await open(disk)
  await handle.sync()
  await handle.close()
  report(100, 'done')
  return disk
}
