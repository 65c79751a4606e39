import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostRow } from '../../store/hosts.ts'
import { canEverFit, choosePlace } from './placement.ts'

const host = (overrides: Partial<HostRow>): HostRow => ({
  id: 'host_a',
  name: 'a',
  regionId: 'here',
  driver: 'qemu',
  isOnline: true,
  vcpus: 16,
  memoryMib: 8192,
  diskBytes: 1000,
  diskFreeBytes: 500,
  diskHighWater: 0.9,
  bootSlots: null,
  facts: {},
  seenAt: new Date(),
  usedVcpus: 0,
  usedMemoryMib: 0,
  instances: 0,
  ...overrides,
})
const demand = { vcpus: 2, memoryMib: 4096 }

test('the host with the most free memory gets it', () => {
  const choice = choosePlace([host({ name: 'a', usedMemoryMib: 2048 }), host({ name: 'b' })], demand)
  assert.equal('host' in choice && choice.host.name, 'b')
  const unlimited = choosePlace([host({ name: 'a' }), host({ name: 'b', memoryMib: null, vcpus: null })], demand)
  assert.equal('host' in unlimited && unlimited.host.name, 'b')
})

test('no room explains itself', () => {
  for (const [overrides, words] of [
    [{ usedMemoryMib: 6144 }, /waiting for room: a has 2048 of 8192 MiB memory left, 4096 are needed/],
    [{ usedVcpus: 15 }, /a has 1 of 16 vCPUs left, 2 are needed/],
    [{ diskFreeBytes: 50 }, /a has a disk that is 95 % full, above the mark of 90 %/],
    [{ isOnline: false }, /waiting for a host: none of this region is online/],
  ] as const) {
    const choice = choosePlace([host(overrides)], demand)
    assert.match('reason' in choice ? choice.reason : '', words)
  }
})

test('what is larger than every host never fits, whatever is free now', () => {
  assert.ok(canEverFit([host({ usedMemoryMib: 8192 })], demand))
  assert.ok(!canEverFit([host({ memoryMib: 2048 })], demand))
  assert.ok(!canEverFit([host({ vcpus: 1 })], demand))
  assert.ok(!canEverFit([], demand))
})
