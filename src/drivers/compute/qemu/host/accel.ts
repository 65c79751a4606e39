/**
 * Which accelerator works. A /dev/kvm that opens proves nothing: there are hosts where every guest hangs on it. So one
 * boot sector is really run, as the user and in the sandbox that instances get: it leaves QEMU with exit code 33. The
 * answer is remembered for this boot of the host.
 */
import { randomUUID } from 'node:crypto'
import { chown, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bootId } from '../../../../lib/process-identity.ts'
import { CloudError } from '../../../../model/errors.ts'
import { SANDBOX } from '../args.ts'
import { CommandError, run } from './command.ts'
import type { Owner } from './process.ts'

export interface Accel {
  kind: 'kvm' | 'tcg'
  /** Why not KVM; empty with KVM. */
  reason: string

  version: string
}

interface Remembered extends Accel {
  bootId: string
  demanded: string
  uid: number
}

/** `mov al,0x10; out 0xf4,al; hlt`: isa-debug-exit makes that exit code 0x10 * 2 + 1. */
export function probeSector(): Buffer {
  const sector = Buffer.alloc(512)
  sector.set([0xb0, 0x10, 0xe6, 0xf4, 0xf4])
  sector.set([0x55, 0xaa], 510)
  return sector
}
const PROBE_EXIT = 33
const PROBE_MS = 3_000 // where KVM works it takes a tenth of a second, under TCG two

export const probeArgs = (accel: 'kvm' | 'tcg', sector: string): string[] =>
  [
    ['-accel', accel, '-nodefaults', '-no-user-config', '-display', 'none', '-m', '128'],
    ['-drive', `file=${sector.replaceAll(',', ',,')},format=raw,if=ide`],
    ['-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-sandbox', SANDBOX],
  ].flat()

export interface ProbeInput {
  binary: string
  demanded: 'auto' | 'kvm' | 'tcg'
  /** Where the sector and the remembered answer lie; the owner must be able to reach it. */
  folder: string
  owner: Owner | null
}

/** Throws `unavailable` when QEMU is not installed or cannot run anything, or KVM is demanded and does not work. */
export async function chooseAccel(input: ProbeInput): Promise<Accel> {
  const file = join(input.folder, 'accel.json')
  const key = { bootId: bootId(), demanded: input.demanded, uid: input.owner?.uid ?? process.getuid!() }
  const version = await qemuVersion(input.binary)
  const known = await readJson<Remembered>(file)
  if (known && known.bootId === key.bootId && known.demanded === key.demanded && known.uid === key.uid) {
    if (known.version === version) return { kind: known.kind, reason: known.reason, version }
  }
  const accel = { ...(await probe(input)), version }
  await writeFile(`${file}.new`, JSON.stringify({ ...accel, ...key } satisfies Remembered))
  await rename(`${file}.new`, file)
  return accel
}

async function probe(input: ProbeInput): Promise<Omit<Accel, 'version'>> {
  const sector = join(input.folder, `probe-${randomUUID().slice(0, 8)}.bin`)
  await writeFile(sector, probeSector(), { mode: 0o644 })
  if (input.owner) await chown(sector, input.owner.uid, input.owner.gid) // an IDE disk must be writable
  try {
    let reason = 'HAVN_ACCEL=tcg'
    if (input.demanded !== 'tcg') {
      const failure = await boots('kvm', sector, input)
      if (failure === null) return { kind: 'kvm', reason: '' }
      reason = failure
    }
    if (input.demanded === 'kvm') {
      throw new CloudError(
        'unavailable',
        `KVM was demanded (HAVN_ACCEL=kvm) but does not work on this host: ${reason}. ` +
          'Enable virtualization in the firmware, load the kvm_intel or kvm_amd module and let QEMU’s user into ' +
          'the group of /dev/kvm, or set HAVN_ACCEL=auto to run on (slower) software emulation',
      )
    }
    const failure = await boots('tcg', sector, input)
    if (failure !== null) throw new CloudError('unavailable', `QEMU cannot run anything on this host: ${failure}`)
    return { kind: 'tcg', reason }
  } finally {
    await rm(sector, { force: true })
  }
}

/** Null when the sector ran to its end, otherwise why not. */
async function boots(accel: 'kvm' | 'tcg', sector: string, { binary, owner }: ProbeInput): Promise<string | null> {
  if (accel === 'kvm' && !(await exists('/dev/kvm'))) return 'there is no /dev/kvm'
  const runAs = accel === 'kvm' ? await withKvmGroup(owner) : owner
  const timeoutMs = accel === 'kvm' ? PROBE_MS : 10 * PROBE_MS
  try {
    await run(binary, probeArgs(accel, sector), { timeoutMs, ...runAs })
    return 'the probe ended too early'
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    if (error.status === PROBE_EXIT) return null
    if (error.status === null) return `a boot sector hangs: not done after ${timeoutMs / 1000} s`
    return error.stderr.trim().split('\n').at(-1) || error.message
  }
}

/** Node drops all supplementary groups with `uid`, so the group of /dev/kvm has to be the primary one. */
export async function withKvmGroup(owner: Owner | null): Promise<Owner | null> {
  if (!owner) return null
  const device = await stat('/dev/kvm').catch(() => null)
  return device && device.gid !== 0 && (device.mode & 0o060) === 0o060 ? { ...owner, gid: device.gid } : owner
}

async function qemuVersion(binary: string): Promise<string> {
  try {
    const said = await run(binary, ['--version'], { timeoutMs: 10_000 })
    return /version (\S+)/.exec(said)?.[1] ?? 'unknown'
  } catch (error) {
    throw new CloudError(
      'unavailable',
      `${binary} is not there or does not start; on Debian: apt-get install qemu-system-x86 qemu-utils`,
      { cause: error },
    )
  }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

async function readJson<T>(file: string): Promise<T | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T
  } catch {
    return null
  }
}
