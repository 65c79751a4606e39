/**
 * The first-boot seed: cloud-init's NoCloud data on a small FAT volume labelled CIDATA, which cloud-init, our micro
 * guest and other readers of NoCloud find by that label. Formats: cloud-init's documentation, "NoCloud",
 * "Networking config version 2" and "Module reference". Everything is block YAML with one scalar a line, each written
 * as JSON (which is YAML): it cannot be broken out of, and a guest without a YAML parser can read it line by line.
 */
import { randomBytes } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fatVolume } from '../../../../lib/fat.ts'

export interface GuestNetwork {
  mac: string
  /** `gateway` of an `onLink` address lies outside its prefix (a routed tap); else it is an ordinary gateway. */
  addresses: { address: string; prefix: number; gateway: string; onLink: boolean }[]
  nameservers: string[]
}

export interface SeedInput {
  /** A new one makes the guest do its first-boot work again, for example `inst_…-g2`. */
  instanceId: string
  hostname: string
  sshKeys: readonly string[]
  /** crypt(3) form; null: no login by password. */
  passwordHash: string | null
  network: GuestNetwork
}

export type SeedFiles = Record<'meta-data' | 'user-data' | 'network-config', string>

export function seedFiles(input: SeedInput): SeedFiles {
  return {
    'meta-data': lines([`instance-id: ${text(input.instanceId)}`, `local-hostname: ${text(input.hostname)}`]),
    'user-data': lines(userData(input)),
    'network-config': lines(networkConfig(input.network)),
  }
}

/**
 * The file is written beside its place, flushed and renamed, so a reader sees the old seed or the new one. It may hold
 * a password hash: only `owner` (the user QEMU runs as; default: the caller) can read it.
 */
export async function writeSeed(file: string, input: SeedInput, owner?: { uid: number; gid: number }): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(fatVolume('CIDATA', seedFiles(input)))
      if (owner) await handle.chown(owner.uid, owner.gid)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  const folder = await open(dirname(file), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

const text = (value: string): string => JSON.stringify(value)
const lines = (all: string[]): string => `${all.join('\n')}\n`

function userData({ hostname, sshKeys, passwordHash }: SeedInput): string[] {
  return [
    '#cloud-config',
    `hostname: ${text(hostname)}`,
    `fqdn: ${text(hostname)}`,
    'disable_root: false',
    'users:',
    '  - name: root',
    `    lock_passwd: ${passwordHash === null}`,
    ...(passwordHash === null ? [] : [`    hashed_passwd: ${text(passwordHash)}`]),
    ...(sshKeys.length ? ['    ssh_authorized_keys:', ...sshKeys.map((key) => `      - ${text(key.trim())}`)] : []),
    // Not `ssh_pwauth`: cloud-init obeys it when sshd already runs, and restarts it under whoever just logged in. OpenSSH
    // as shipped lets root in by key only; whoever set a password means to use it.
    'write_files:',
    '  - path: /etc/ssh/sshd_config.d/10-havn.conf',
    `    content: ${text(passwordHash === null ? 'PasswordAuthentication no\n' : 'PasswordAuthentication yes\nPermitRootLogin yes\n')}`,
    'growpart:',
    '  mode: auto',
    '  devices: ["/"]',
    'resize_rootfs: true',
  ]
}

const isV6 = ({ address }: { address: string }): boolean => address.includes(':')

function networkConfig({ mac, addresses, nameservers }: GuestNetwork): string[] {
  const v4 = addresses.filter((each) => !isV6(each))
  return [
    'version: 2',
    'ethernets:',
    '  eth0:',
    '    match:',
    `      macaddress: ${text(mac.toLowerCase())}`,
    '    set-name: eth0',
    '    dhcp4: false',
    '    dhcp6: false',
    '    accept-ra: false',
    ...(addresses.length ? ['    addresses:'] : []),
    ...addresses.map(({ address, prefix }) => `      - ${text(`${address}/${prefix}`)}`),
    ...(v4.length ? ['    routes:'] : []),
    ...v4.flatMap(({ gateway, onLink }) => [
      '      - to: "0.0.0.0/0"',
      `        via: ${text(gateway)}`,
      ...(onLink ? ['        on-link: true'] : []),
    ]),
    // cloud-init 22.4 makes a route to `::/0` one to `::/64`. A link-local gateway is on the link without being told.
    ...addresses.filter(isV6).map(({ gateway }) => `    gateway6: ${text(gateway)}`),
    ...(nameservers.length ? ['    nameservers:', '      addresses:'] : []),
    ...nameservers.map((address) => `        - ${text(address)}`),
  ]
}
