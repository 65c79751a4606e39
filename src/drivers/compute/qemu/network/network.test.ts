import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  elementsRemoval,
  elementsText,
  isPrivate4,
  routedGuest,
  type TapSpec,
  tableRemoval,
  tableText,
  tapConfiguration,
  tapCreation,
  tapName,
  userGuest,
  userNet,
} from './network.ts'

const SPEC: TapSpec = {
  tap: 'hvab1210001',
  id: 'inst_01',
  mac: '52:54:00:00:27:11',
  ipv4: '10.91.0.17',
  ipv6: 'fd00:91::11',
}

test('the table drops what comes from a tap with a source that is not its own', () => {
  assert.equal(
    tableText('ab12', { ipv6: true, nat4: true, nat6: true }),
    `add table inet hvab12
add set inet hvab12 source4 { type ifname . ipv4_addr ; }
add set inet hvab12 source6 { type ifname . ipv6_addr ; }
add set inet hvab12 private4 { type ipv4_addr ; }
add set inet hvab12 private6 { type ipv6_addr ; }
add chain inet hvab12 sources { type filter hook prerouting priority raw ; policy accept ; }
flush chain inet hvab12 sources
add rule inet hvab12 sources iifname != "hvab12*" accept
add rule inet hvab12 sources iifname . ip saddr @source4 accept
add rule inet hvab12 sources iifname . ip6 saddr @source6 accept
add rule inet hvab12 sources ip6 saddr { ::, fe80::/10 } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
add rule inet hvab12 sources counter drop
add chain inet hvab12 transit { type filter hook forward priority filter ; policy accept ; }
flush chain inet hvab12 transit
add rule inet hvab12 transit iifname "hvab12*" accept
add rule inet hvab12 transit oifname "hvab12*" accept
add chain inet hvab12 outbound { type nat hook postrouting priority srcnat ; policy accept ; }
flush chain inet hvab12 outbound
add rule inet hvab12 outbound oifname != "hvab12*" ip saddr @private4 masquerade
add rule inet hvab12 outbound oifname != "hvab12*" ip6 saddr @private6 masquerade
`,
  )
})

test('without IPv6 and address translation neither is asked of the kernel', () => {
  const text = tableText('ab12', { ipv6: false, nat4: false, nat6: false })
  assert.doesNotMatch(text, /masquerade|icmpv6|ip6 saddr/)
  assert.match(text, /counter drop/)
  assert.equal(tableRemoval('ab12'), 'add table inet hvab12\ndelete table inet hvab12\n')
})

test('an instance adds and removes only its own elements', () => {
  assert.equal(
    elementsText('ab12', [SPEC]),
    `add element inet hvab12 source4 { "hvab1210001" . 10.91.0.17 }
add element inet hvab12 source6 { "hvab1210001" . fd00:91::11 }
add element inet hvab12 private4 { 10.91.0.17 }
add element inet hvab12 private6 { fd00:91::11 }
`,
  )
  const removal = elementsRemoval('ab12', { ...SPEC, ipv6: null })
  assert.match(removal, /^add table inet hvab12\nadd set inet hvab12 source4 /)
  assert.ok(
    removal.endsWith(`add element inet hvab12 source4 { "hvab1210001" . 10.91.0.17 }
delete element inet hvab12 source4 { "hvab1210001" . 10.91.0.17 }
add element inet hvab12 private4 { 10.91.0.17 }
delete element inet hvab12 private4 { 10.91.0.17 }
`),
  )
  const isPublic = { ...SPEC, ipv4: '203.0.113.5', ipv6: '2001:db8::5' }
  assert.doesNotMatch(elementsText('ab12', [isPublic]), /private/)
})

test('a tap: owner, alias, gateway addresses, host routes, permanent neighbours', () => {
  assert.equal(
    tapCreation(SPEC, 990),
    `tuntap add dev hvab1210001 mode tap user 990
link set dev hvab1210001 alias havn:inst_01
link set dev hvab1210001 address 02:68:61:76:6e:01
link set dev hvab1210001 addrgenmode none
link set dev hvab1210001 up
`,
  )
  assert.equal(
    tapConfiguration(SPEC),
    `address replace 169.254.0.1/32 dev hvab1210001 scope link
route replace 10.91.0.17/32 dev hvab1210001 scope link
neighbour replace 10.91.0.17 lladdr 52:54:00:00:27:11 dev hvab1210001 nud permanent
address replace fe80::1/64 dev hvab1210001 nodad
route replace fd00:91::11/128 dev hvab1210001
neighbour replace fd00:91::11 lladdr 52:54:00:00:27:11 dev hvab1210001 nud permanent
`,
  )
  assert.equal(tapConfiguration({ ...SPEC, ipv4: null, ipv6: null }), '')
})

test('nothing but an address becomes part of these texts', () => {
  assert.throws(() => elementsText('ab12', [{ ...SPEC, ipv4: '10.0.0.1 }\nflush ruleset' }]))
  assert.throws(() => tapConfiguration({ ...SPEC, ipv6: 'fd00::1 dev eth0' }))
})

test('interface names fit', () => {
  assert.equal(tapName('ab12', 10_001), 'hvab1210001')
  assert.equal(tapName('ab12', 999_999_999).length, 15)
  assert.throws(() => tapName('ab12', 1_000_000_000))
})

test('the guest behind a tap gets on-link gateways, in user mode slirp’s', () => {
  assert.deepEqual(routedGuest(SPEC, ['192.0.2.53']), {
    mac: SPEC.mac,
    addresses: [
      { address: '10.91.0.17', prefix: 32, gateway: '169.254.0.1', onLink: true },
      { address: 'fd00:91::11', prefix: 128, gateway: 'fe80::1', onLink: true },
    ],
    nameservers: ['192.0.2.53'],
  })
  const net = userNet('10.91.255.254', 22_001)
  assert.deepEqual(net, {
    guest: '10.91.255.254',
    net: '10.91.0.0/16',
    host: '10.91.255.253',
    dns: '10.91.255.252',
    sshPort: 22_001,
  })
  assert.deepEqual(userGuest(SPEC.mac, net).addresses, [
    { address: '10.91.255.254', prefix: 16, gateway: '10.91.255.253', onLink: false },
  ])
})

test('private addresses', () => {
  for (const ip of ['10.0.0.1', '172.16.0.1', '172.31.255.1', '192.168.1.1', '100.64.0.1'])
    assert.ok(isPrivate4(ip), ip)
  for (const ip of ['11.0.0.1', '172.32.0.1', '192.169.1.1', '100.128.0.1', '203.0.113.1']) {
    assert.ok(!isPrivate4(ip), ip)
  }
})
