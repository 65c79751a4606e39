/**
 * The `micro` image: a bootable disk with Debian's cloud kernel, busybox, dropbear and the QEMU guest agent, made in
 * seconds from Debian packages that are unpacked, never installed. It reads the same first-boot seed as cloud-init;
 * what it does inside lies as scripts in `micro-guest/`.
 */
import { chmod, cp, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type CpioEntry, cpioArchive } from '../../lib/cpio.ts'
import { run } from '../../lib/run.ts'
import { blocksOf, EXT4, EXT4_EXTENDED, GRUB_MATERIAL, makeBootable } from './boot-disk.ts'
import {
  fetchPackages,
  findIn,
  kernelPackage,
  librariesOf,
  loader,
  moduleDependencies,
  runIn,
  unpack,
} from './packages.ts'

/** Unpacked into the image or used to build it; not installed. */
const MATERIAL = [
  ...['busybox-static', 'dropbear-bin', 'libtomcrypt1', 'libtommath1', 'libgmp10', 'libcrypt1', 'libc6', 'zlib1g'],
  ...['e2fsprogs', 'libext2fs2', 'libcom-err2', 'libblkid1', 'libuuid1', 'libss2'],
  ...['qemu-guest-agent', 'libglib2.0-0', 'libpcre2-8-0', 'libselinux1', 'libudev1', 'liburing2', 'libnuma1'],
  ...['libmount1', 'libffi8'],
]
const PROGRAMS = ['dropbear', 'dropbearkey', 'qemu-ga', 'resize2fs', 'e2fsck']
const INITRD_MODULES = ['virtio_pci', 'virtio_blk']
const GUEST_MODULES = [
  ...['virtio_net', 'virtio_balloon', 'virtio_rng', 'virtio_console', 'button', 'evdev', 'pvpanic_mmio'],
  ...['vfat', 'nls_cp437', 'nls_ascii', 'nls_utf8', 'isofs', 'af_packet', 'virtio_scsi', 'sd_mod', 'sr_mod'],
]
const DISK_MIB = 512 // sparse; the guest grows to whatever disk it finds itself on
const GRUB_CONFIG = `linux /boot/vmlinuz console=tty0 console=ttyS0,115200 quiet net.ifnames=0
initrd /boot/initrd
boot
`

export interface BuildFolders {
  /** Empty, for this build alone. */
  work: string
  /** Kept from build to build: downloaded packages. */
  cache: string
}
export type Report = (percent: number, message: string) => void

/** Builds it and answers the path of a qcow2 in `work`. */
export async function buildMicro({ work, cache }: BuildFolders, report: Report): Promise<string> {
  report(0, 'fetching Debian packages')
  const kernel = await kernelPackage()
  const files = await fetchPackages([...new Set([...MATERIAL, ...GRUB_MATERIAL]), kernel], cache)
  report(30, 'unpacking')
  const tree = join(work, 'tree')
  const isKernel = (file: string) => basename(file).startsWith(`${kernel}_`)
  await unpack(
    files.filter((file) => !isKernel(file)),
    tree,
  )
  const kernelMembers = ['*/vmlinuz-*', '*.ko*'] // whole paths differ by release
  await unpack(files.filter(isKernel), tree, kernelMembers)
  report(70, 'putting the guest together')
  const root = join(work, 'root')
  const modules = await findModules(tree)
  await makeRoot(tree, root, modules)
  await writeFile(join(root, 'boot/initrd'), gzipSync(await makeInitrd(tree, modules)))
  report(85, 'writing the disk')
  const disk = await makeDisk(tree, root, work)
  report(100, 'done')
  return disk
}

interface Modules {
  version: string
  /** File of every module by name, with `_` for `-`. */
  files: Map<string, string>
}

async function findModules(tree: string): Promise<Modules> {
  const base = findIn(tree, 'lib/modules', 'usr/lib/modules')
  const version = (await readdir(base))[0]!
  const files = new Map<string, string>()
  for (const path of await readdir(join(base, version), { recursive: true })) {
    if (path.endsWith('.ko.xz')) await run('xz', ['--decompress', '--force', join(base, version, path)])
    const name = /([^/]+)\.ko(\.xz)?$/.exec(path)?.[1]
    if (name) files.set(name.replaceAll('-', '_'), join(base, version, path.replace(/\.xz$/, '')))
  }
  return { version, files }
}

/** The wanted modules and what they need, each after what it needs; what is built into the kernel is left out. */
async function inLoadOrder({ files }: Modules, wanted: readonly string[]): Promise<Map<string, string[]>> {
  const order = new Map<string, string[]>()
  const visit = async (name: string): Promise<void> => {
    const file = files.get(name)
    if (!file || order.has(name)) return
    const needs = (await moduleDependencies(file)).filter((need) => files.has(need))
    for (const need of needs) await visit(need)
    order.set(name, needs)
  }
  for (const name of wanted) await visit(name)
  return order
}

const guestFile = (name: string): string => join(import.meta.dirname, 'micro-guest', name)

async function makeRoot(tree: string, root: string, modules: Modules): Promise<void> {
  const folders = [
    'bin',
    'sbin',
    'usr/bin',
    'usr/sbin',
    'lib64',
    'lib/x86_64-linux-gnu',
    'boot',
    'dev',
    'proc',
    'sys',
    'run',
  ]
  const more = ['tmp', 'mnt', 'root', 'home', 'var/lib/seed', 'var/log', 'etc/init.d', 'etc/dropbear', 'etc/acpi/PWRF']
  for (const folder of [...folders, ...more]) await mkdir(join(root, folder), { recursive: true })
  await chmod(join(root, 'root'), 0o700)

  const busybox = findIn(tree, 'bin/busybox', 'usr/bin/busybox')
  await cp(busybox, join(root, 'bin/busybox'))
  const linked = new Set<string>()
  for (const path of (await run(busybox, ['--list-full'])).trim().split('\n')) {
    if (basename(path) === 'busybox' || PROGRAMS.includes(basename(path))) continue
    await mkdir(dirname(join(root, path)), { recursive: true })
    await symlink('/bin/busybox', join(root, path))
    linked.add(basename(path))
  }
  if (!linked.has('shutdown')) await cp(guestFile('shutdown'), join(root, 'sbin/shutdown'))

  await cp(loader(tree), join(root, 'lib64/ld-linux-x86-64.so.2'), { dereference: true })
  for (const name of PROGRAMS) {
    const program = findIn(tree, `usr/sbin/${name}`, `usr/bin/${name}`, `sbin/${name}`)
    await cp(program, join(root, 'usr/sbin', name))
    for (const library of await librariesOf(tree, program)) {
      await cp(library, join(root, 'lib/x86_64-linux-gnu', basename(library)), { dereference: true })
    }
  }

  const kernel = (await readdir(join(tree, 'boot'))).find((name) => name.startsWith('vmlinuz-'))!
  await cp(join(tree, 'boot', kernel), join(root, 'boot/vmlinuz'))
  const to = `lib/modules/${modules.version}`
  await mkdir(join(root, to), { recursive: true })
  const order = await inLoadOrder(modules, [...INITRD_MODULES, ...GUEST_MODULES])
  for (const name of order.keys()) await cp(modules.files.get(name)!, join(root, to, `${name}.ko`))
  const dependencies = [...order.keys()].map(
    (name) =>
      `${name}.ko:${allNeeds(order, name)
        .map((need) => ` ${need}.ko`)
        .join('')}\n`,
  )
  await writeFile(join(root, to, 'modules.dep'), dependencies.join(''))

  for (const name of ['boot', 'ready', 'ssh', 'agent']) await cp(guestFile(name), join(root, 'etc/init.d', name))
  await cp(guestFile('inittab'), join(root, 'etc/inittab'))
  await writeFile(join(root, 'etc/acpi/PWRF/00000080'), '#!/bin/sh\nexec /sbin/poweroff\n')
  const scripts = [
    'etc/init.d/boot',
    'etc/init.d/ready',
    'etc/init.d/ssh',
    'etc/init.d/agent',
    'etc/acpi/PWRF/00000080',
  ]
  for (const script of [...scripts, 'sbin/shutdown']) await chmod(join(root, script), 0o755)
  const texts = {
    passwd: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n',
    group: 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n',
    shadow: 'root:*:19000:0:99999:7:::\n',
    shells: '/bin/sh\n',
    hostname: 'micro\n',
    hosts: '127.0.0.1 localhost\n::1 localhost\n',
    profile: 'export PATH=/sbin:/usr/sbin:/bin:/usr/bin\n',
    issue: 'Micro Linux \\n \\l\n\n',
    'os-release': 'NAME="Micro Linux"\nID=micro\nVERSION_ID=1\nPRETTY_NAME="Micro Linux 1"\n',
  }
  for (const [name, text] of Object.entries(texts)) await writeFile(join(root, 'etc', name), text)
  await chmod(join(root, 'etc/shadow'), 0o600)
}

/** What modprobe must load for `name`: nearest first, as depmod writes it. */
function allNeeds(order: Map<string, string[]>, name: string): string[] {
  const needs = order.get(name) ?? []
  return [...new Set([...needs, ...needs.flatMap((need) => allNeeds(order, need))])]
}

async function makeInitrd(tree: string, modules: Modules): Promise<Buffer> {
  const order = await inLoadOrder(modules, ['virtio_ring', 'virtio', ...INITRD_MODULES])
  const entries: CpioEntry[] = [
    { path: 'bin', mode: 0o040755 },
    { path: 'modules', mode: 0o040755 },
    { path: 'dev', mode: 0o040755 },
    { path: 'bin/busybox', mode: 0o100755, content: await readFile(findIn(tree, 'bin/busybox', 'usr/bin/busybox')) },
    { path: 'init', mode: 0o100755, content: await readFile(guestFile('initrd-init')) },
    { path: 'modules/order', mode: 0o100644, content: [...order.keys()].map((name) => `${name}\n`).join('') },
  ]
  for (const name of order.keys()) {
    entries.push({ path: `modules/${name}.ko`, mode: 0o100644, content: await readFile(modules.files.get(name)!) })
  }
  return cpioArchive(entries)
}

async function makeDisk(tree: string, root: string, work: string): Promise<string> {
  const raw = join(work, 'disk.raw')
  await writeFile(raw, '')
  await truncate(raw, DISK_MIB * 1024 * 1024)
  const shape = ['-i', '32768', '-J', 'size=8', '-L', 'micro-root', '-E', EXT4_EXTENDED]
  await runIn(tree, 'mke2fs', [...EXT4, ...shape, '-d', root, raw, blocksOf(DISK_MIB)])
  await makeBootable(raw, GRUB_CONFIG, tree, work)
  const disk = join(work, 'disk.qcow2')
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, disk])
  await rm(raw)
  return disk
}
