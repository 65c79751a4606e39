/**
 * The command line of one virtual machine, as pure data. What shapes it:
 * - Nothing is guessed: no default devices, no config files, every image with its format (a guest that writes a qcow2
 *   header onto a raw disk must not get host files opened).
 * - It outlives the control plane: no `-daemonize` (that fails together with the seccomp sandbox), two QMP sockets (one
 *   socket serves one client), and `-action shutdown=pause`, so that whoever looks next can tell a guest that switched
 *   itself off from a process that died.
 * - VNC has no password: its socket lies in a 0700 folder of the unprivileged user, which the kernel guards better than
 *   VNC's eight DES characters would, and no secret has to lie in a file.
 */
export interface QemuSpec {
  id: string
  uuid: string
  vcpus: number
  memoryMib: number
  mac: string
  accel: 'kvm' | 'tcg'
  disk: string
  seed: string
  /** Folder of the sockets; short, see `pathsOf`. */
  run: string
  serialLog: string
  net: { kind: 'tap'; tap: string } | ({ kind: 'user' } & UserNet) | { kind: 'none' }
  /** A snapshot of the disk whose memory it begins with, and the machine type that it fits. */
  memory?: { tag: string; machine: string } | null
}

export interface UserNet {
  /** The guest's own address and the network slirp pretends to be. */
  guest: string
  net: string
  host: string
  dns: string
  /** Port on the host's loopback that leads to the guest's port 22; null = not reachable. */
  sshPort: number | null
}

/** The sockets in an instance's run folder. */
export const SOCKETS = { qmp: 'q', tools: 'q2', agent: 'ga', serial: 'ser', vnc: 'vnc' } as const

/** Slots for volumes, networks and CD drives that come while it runs: `device_add` needs an empty port from the start. */
const HOTPLUG_PORTS = 6

/** The translation cache of TCG would grow to 1 GiB; 128 MiB is as fast, 64 MiB is enough for a tiny guest. */
export const tbSizeMib = (accel: 'kvm' | 'tcg', memoryMib: number): number =>
  accel === 'kvm' ? 0 : memoryMib <= 512 ? 64 : 128

export const SANDBOX = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'

export function qemuArgs(spec: QemuSpec): string[] {
  const socket = (name: string) => value(`${spec.run}/${name}`)
  return [
    ['-name', `guest=${spec.id},debug-threads=on`],
    ['-uuid', spec.uuid],
    ['-machine', spec.memory?.machine ?? 'q35'],
    ...accelArgs(spec),
    ['-smp', String(spec.vcpus)],
    ['-m', `${spec.memoryMib}M`],
    ['-nodefaults'],
    ['-no-user-config'],
    ['-S'], // vCPUs wait for `cont`: the cgroup is in place and the start time known before the guest runs
    ...Array.from({ length: HOTPLUG_PORTS }, (_, i) => [
      '-device',
      `pcie-root-port,id=port${i},bus=pcie.0,chassis=${i + 1},slot=${i + 1}`,
    ]),
    [
      '-blockdev',
      `driver=qcow2,node-name=d0,discard=unmap,file.driver=file,file.filename=${value(spec.disk)},file.discard=unmap`,
    ],
    ['-device', 'virtio-blk-pci,drive=d0,id=disk0,bootindex=1'],
    ['-blockdev', `driver=raw,node-name=seed,read-only=on,file.driver=file,file.filename=${value(spec.seed)}`],
    ['-device', 'virtio-blk-pci,drive=seed,id=seed0'],
    ['-netdev', netdev(spec.net)],
    ['-device', `virtio-net-pci,netdev=n0,id=nic0,romfile=,mac=${spec.mac}`],
    ['-object', 'rng-random,id=rng0,filename=/dev/urandom'],
    ['-device', 'virtio-rng-pci,rng=rng0'],
    ['-device', 'virtio-balloon-pci,id=balloon0,free-page-reporting=on'],
    ['-device', 'pvpanic'],
    ['-device', 'virtio-serial-pci'],
    ['-chardev', `socket,id=ga0,path=${socket(SOCKETS.agent)},server=on,wait=off`],
    ['-device', 'virtserialport,chardev=ga0,name=org.qemu.guest_agent.0'],
    [
      '-chardev',
      `socket,id=ser0,path=${socket(SOCKETS.serial)},server=on,wait=off,logfile=${value(spec.serialLog)},logappend=on`,
    ],
    ['-serial', 'chardev:ser0'],
    ['-device', 'VGA'],
    ['-vnc', `unix:${socket(SOCKETS.vnc)}`],
    ['-qmp', `unix:${socket(SOCKETS.qmp)},server=on,wait=off`],
    ['-qmp', `unix:${socket(SOCKETS.tools)},server=on,wait=off`],
    ['-action', 'shutdown=pause,panic=pause,reboot=reset'],
    ['-sandbox', SANDBOX],
    ...(spec.memory ? [['-loadvm', spec.memory.tag]] : []),
  ].flat()
}

const accelArgs = ({ accel, memoryMib }: QemuSpec): string[][] =>
  accel === 'kvm'
    ? [
        ['-accel', 'kvm'],
        ['-cpu', 'host'],
      ]
    : [
        ['-accel', `tcg,thread=multi,tb-size=${tbSizeMib(accel, memoryMib)}`],
        ['-cpu', 'max'],
      ]

function netdev(net: QemuSpec['net']): string {
  if (net.kind === 'none') return 'hubport,id=n0,hubid=0' // a hub with nothing else on it: link, and silence
  if (net.kind === 'tap') return `tap,id=n0,ifname=${net.tap},script=no,downscript=no`
  const forward = net.sshPort === null ? '' : `,hostfwd=tcp:127.0.0.1:${net.sshPort}-${net.guest}:22`
  return `user,id=n0,restrict=on,ipv6=off,net=${net.net},host=${net.host},dns=${net.dns},dhcpstart=${net.guest}${forward}`
}

/** In QEMU's option lists a comma ends the value, so it is doubled (qemu(1), "-drive file=my,,file"). */
const value = (text: string): string => text.replaceAll(',', ',,')
