import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type QemuSpec, qemuArgs, tbSizeMib } from './args.ts'

const SPEC: QemuSpec = {
  id: 'inst_01',
  uuid: '0192d7a0-0000-7000-8000-000000000001',
  vcpus: 2,
  memoryMib: 1024,
  mac: '52:54:00:00:27:11',
  accel: 'tcg',
  disk: '/h/instances/inst_01/disk-g1.qcow2',
  seed: '/h/instances/inst_01/seed-g1.img',
  run: '/h/run/inst_01',
  serialLog: '/h/instances/inst_01/serial.log',
  net: { kind: 'tap', tap: 'hvab1210001' },
}

/** One option and its value a line, as one would write it by hand. */
const asText = (args: string[]) => args.join(' ').replaceAll(/ -(?=[a-zA-Z])/g, '\n-')

test('the whole command line of a routed machine under TCG', () => {
  assert.equal(
    asText(qemuArgs(SPEC)),
    `-name guest=inst_01,debug-threads=on
-uuid 0192d7a0-0000-7000-8000-000000000001
-machine q35
-accel tcg,thread=multi,tb-size=128
-cpu max
-smp 2
-m 1024M
-nodefaults
-no-user-config
-S
-device pcie-root-port,id=port0,bus=pcie.0,chassis=1,slot=1
-device pcie-root-port,id=port1,bus=pcie.0,chassis=2,slot=2
-device pcie-root-port,id=port2,bus=pcie.0,chassis=3,slot=3
-device pcie-root-port,id=port3,bus=pcie.0,chassis=4,slot=4
-device pcie-root-port,id=port4,bus=pcie.0,chassis=5,slot=5
-device pcie-root-port,id=port5,bus=pcie.0,chassis=6,slot=6
-blockdev driver=qcow2,node-name=d0,discard=unmap,file.driver=file,file.filename=/h/instances/inst_01/disk-g1.qcow2,file.discard=unmap
-device virtio-blk-pci,drive=d0,id=disk0,bootindex=1
-blockdev driver=raw,node-name=seed,read-only=on,file.driver=file,file.filename=/h/instances/inst_01/seed-g1.img
-device virtio-blk-pci,drive=seed,id=seed0
-netdev tap,id=n0,ifname=hvab1210001,script=no,downscript=no
-device virtio-net-pci,netdev=n0,id=nic0,romfile=,mac=52:54:00:00:27:11
-object rng-random,id=rng0,filename=/dev/urandom
-device virtio-rng-pci,rng=rng0
-device virtio-balloon-pci,id=balloon0,free-page-reporting=on
-device pvpanic
-device virtio-serial-pci
-chardev socket,id=ga0,path=/h/run/inst_01/ga,server=on,wait=off
-device virtserialport,chardev=ga0,name=org.qemu.guest_agent.0
-chardev socket,id=ser0,path=/h/run/inst_01/ser,server=on,wait=off,logfile=/h/instances/inst_01/serial.log,logappend=on
-serial chardev:ser0
-device VGA
-vnc unix:/h/run/inst_01/vnc
-qmp unix:/h/run/inst_01/q,server=on,wait=off
-qmp unix:/h/run/inst_01/q2,server=on,wait=off
-action shutdown=pause,panic=pause,reboot=reset
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny`,
  )
})

test('KVM passes the host processor through and has no translation cache', () => {
  const text = asText(qemuArgs({ ...SPEC, accel: 'kvm' }))
  assert.match(text, /\n-accel kvm\n-cpu host\n/)
  assert.doesNotMatch(text, /tcg|tb-size/)
  assert.equal(tbSizeMib('kvm', 4096), 0)
  assert.equal(tbSizeMib('tcg', 256), 64)
})

test('user-mode network around the own address, with and without a port', () => {
  const net = { kind: 'user', guest: '10.91.0.17', net: '10.91.0.0/16', host: '10.91.255.254', dns: '10.91.255.253' }
  const netdev = (sshPort: number | null) =>
    /-netdev (\S+)/.exec(asText(qemuArgs({ ...SPEC, net: { ...net, sshPort } as QemuSpec['net'] })))?.[1]
  const common =
    'user,id=n0,restrict=on,ipv6=off,net=10.91.0.0/16,host=10.91.255.254,dns=10.91.255.253,dhcpstart=10.91.0.17'
  assert.equal(netdev(22001), `${common},hostfwd=tcp:127.0.0.1:22001-10.91.0.17:22`)
  assert.equal(netdev(null), common)
})

test('a comma in a path does not end the value', () => {
  const text = asText(qemuArgs({ ...SPEC, disk: '/a,b/disk.qcow2', run: '/a,b/run' }))
  assert.match(text, /file\.filename=\/a,,b\/disk\.qcow2,file\.discard/)
  assert.match(text, /path=\/a,,b\/run\/ga,server/)
  assert.match(text, /-vnc unix:\/a,,b\/run\/vnc/)
})

test('a process that begins with a saved memory is the machine that it fits', () => {
  const text = asText(qemuArgs({ ...SPEC, memory: { tag: 'snap_01', machine: 'pc-q35-7.2' } }))
  assert.match(text, /\n-machine pc-q35-7\.2\n/)
  assert.match(text, /\n-loadvm snap_01$/)
})
