/**
 * How instances reach the world. As root every instance has its own routed tap: host routes to its /32 and /128 lead to
 * it, its gateway is on-link (169.254.0.1, fe80::1), and permanent neighbour entries mean that nobody has to be asked
 * who has which address. There is no shared layer 2, so there is nothing to spoof but the source address, and a packet
 * that enters from a tap with another source is dropped by a rule that names all taps by their prefix: it holds before
 * the first one exists. Without root QEMU's user-mode network forwards one loopback port to port 22.
 *
 * This file builds text only; tap.ts runs it.
 */
import { isIP } from 'node:net'
import type { UserNet } from '../args.ts'
import type { GuestNetwork } from '../guest/seed.ts'

export const GATEWAY4 = '169.254.0.1'
export const GATEWAY6 = 'fe80::1'
/**
 * The host's end of every tap, locally administered. A guest that goes on from a saved memory remembers who its gateway
 * was, and must find the same one behind a new tap.
 */
const GATEWAY_MAC = '02:68:61:76:6e:01'

export interface TapSpec {
  tap: string
  id: string
  mac: string
  ipv4: string | null
  ipv6: string | null
}

const INTERFACE_NAME_MAX = 15 // IFNAMSIZ includes the closing NUL

/** `hv` + prefix + number: unique on the machine, also beside another Havn. */
export function tapName(prefix: string, number: number): string {
  const name = `hv${prefix}${number}`
  if (name.length > INTERFACE_NAME_MAX) throw new Error(`interface name ${name} is too long`)
  return name
}

export const tableName = (prefix: string): string => `hv${prefix}`

export interface TableOptions {
  ipv6: boolean
  /** Masquerade of private addresses; not every kernel can. */
  nat4: boolean
  nat6: boolean
}

/** One transaction; chains are emptied and filled anew, the sets with the instances' addresses stay. */
export function tableText(prefix: string, { ipv6, nat4, nat6 }: TableOptions): string {
  const table = `inet ${tableName(prefix)}`
  const taps = `"hv${prefix}*"`
  const chain = (name: string, hook: string, rules: string[]) => [
    `add chain ${table} ${name} { ${hook} ; policy accept ; }`,
    `flush chain ${table} ${name}`,
    ...rules.map((rule) => `add rule ${table} ${name} ${rule}`),
  ]
  return lines([
    ...sets(prefix),
    ...chain('sources', 'type filter hook prerouting priority raw', [
      `iifname != ${taps} accept`,
      'iifname . ip saddr @source4 accept',
      ...(ipv6
        ? [
            'iifname . ip6 saddr @source6 accept',
            // RFC 4861: addresses are resolved, and RFC 4862: tested for duplicates, from these sources.
            'ip6 saddr { ::, fe80::/10 } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept',
          ]
        : []),
      'counter drop',
    ]),
    ...chain('transit', 'type filter hook forward priority filter', [
      `iifname ${taps} accept`,
      `oifname ${taps} accept`,
    ]),
    ...(nat4 || nat6
      ? chain('outbound', 'type nat hook postrouting priority srcnat', [
          ...(nat4 ? [`oifname != ${taps} ip saddr @private4 masquerade`] : []),
          ...(nat6 ? [`oifname != ${taps} ip6 saddr @private6 masquerade`] : []),
        ])
      : []),
  ])
}

function sets(prefix: string): string[] {
  const table = `inet ${tableName(prefix)}`
  return [
    `add table ${table}`,
    `add set ${table} source4 { type ifname . ipv4_addr ; }`,
    `add set ${table} source6 { type ifname . ipv6_addr ; }`,
    `add set ${table} private4 { type ipv4_addr ; }`,
    `add set ${table} private6 { type ipv6_addr ; }`,
  ]
}

export const tableRemoval = (prefix: string): string =>
  lines([`add table inet ${tableName(prefix)}`, `delete table inet ${tableName(prefix)}`])

const elements = (prefix: string, spec: TapSpec): [set: string, element: string][] =>
  [
    ...(spec.ipv4 ? [['source4', `"${spec.tap}" . ${address(spec.ipv4)}`] as [string, string]] : []),
    ...(spec.ipv6 ? [['source6', `"${spec.tap}" . ${address(spec.ipv6)}`] as [string, string]] : []),
    ...(spec.ipv4 && isPrivate4(spec.ipv4) ? [['private4', spec.ipv4] as [string, string]] : []),
    ...(spec.ipv6 && isPrivate6(spec.ipv6) ? [['private6', spec.ipv6] as [string, string]] : []),
  ].map(([set, element]) => [`inet ${tableName(prefix)} ${set}`, element!])

/** Adding what is there is no error. */
export const elementsText = (prefix: string, specs: readonly TapSpec[]): string =>
  lines(specs.flatMap((spec) => elements(prefix, spec)).map(([set, element]) => `add element ${set} { ${element} }`))

/** Removing what is not there is one, so it is added first, sets included, in the same transaction. */
export const elementsRemoval = (prefix: string, spec: TapSpec): string =>
  lines([
    ...sets(prefix),
    ...elements(prefix, spec).flatMap(([set, element]) => [
      `add element ${set} { ${element} }`,
      `delete element ${set} { ${element} }`,
    ]),
  ])

/** For `ip -batch -`. */
export const tapCreation = ({ tap, id }: TapSpec, uid: number): string =>
  lines([
    `tuntap add dev ${tap} mode tap user ${uid}`,
    `link set dev ${tap} alias havn:${id}`,
    `link set dev ${tap} address ${GATEWAY_MAC}`,
    `link set dev ${tap} addrgenmode none`, // fe80::1 is its only link-local address
    `link set dev ${tap} up`,
  ])

/** For `ip -batch -`; safe to repeat on a tap that is in use. */
export const tapConfiguration = ({ tap, mac, ipv4, ipv6 }: TapSpec): string =>
  lines([
    ...(ipv4
      ? [
          `address replace ${GATEWAY4}/32 dev ${tap} scope link`,
          `route replace ${address(ipv4)}/32 dev ${tap} scope link`,
          `neighbour replace ${ipv4} lladdr ${mac} dev ${tap} nud permanent`,
        ]
      : []),
    ...(ipv6
      ? [
          `address replace ${GATEWAY6}/64 dev ${tap} nodad`,
          `route replace ${address(ipv6)}/128 dev ${tap}`,
          `neighbour replace ${ipv6} lladdr ${mac} dev ${tap} nud permanent`,
        ]
      : []),
  ])

/** What the guest is told, behind a tap. */
export const routedGuest = (spec: Pick<TapSpec, 'mac' | 'ipv4' | 'ipv6'>, nameservers: string[]): GuestNetwork => ({
  mac: spec.mac,
  addresses: [
    ...(spec.ipv4 ? [{ address: spec.ipv4, prefix: 32, gateway: GATEWAY4, onLink: true }] : []),
    ...(spec.ipv6 ? [{ address: spec.ipv6, prefix: 128, gateway: GATEWAY6, onLink: true }] : []),
  ],
  nameservers,
})

/** What slirp pretends to be around the instance's own address: a /16, so that no address of a pool is its first or last. */
export function userNet(ipv4: string | null, sshPort: number | null): UserNet {
  const guest = address(ipv4 ?? '10.0.2.15')
  const half = guest.split('.').slice(0, 2).join('.')
  const others = [254, 253, 252].map((last) => `${half}.255.${last}`).filter((other) => other !== guest)
  return { guest, net: `${half}.0.0/16`, host: others[0]!, dns: others[1]!, sshPort }
}

/** What the guest is told there. No name servers: `restrict=on` lets nothing out. */
export const userGuest = (mac: string, net: UserNet): GuestNetwork => ({
  mac,
  addresses: [{ address: net.guest, prefix: 16, gateway: net.host, onLink: false }],
  nameservers: [],
})

/** RFC 1918 and RFC 6598 (shared address space): nobody outside can answer to them. */
export function isPrivate4(ip: string): boolean {
  const [a = 0, b = 0] = ip.split('.').map(Number)
  return a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 100 && b >= 64 && b < 128)
}

/** RFC 4193, unique local addresses. */
export const isPrivate6 = (ip: string): boolean => /^f[cd]/i.test(ip)

/** These texts are programs; nothing but an address may become part of them. */
function address(text: string): string {
  if (isIP(text) === 0) throw new Error(`not an IP address: ${JSON.stringify(text)}`)
  return text
}

const lines = (all: string[]) => all.map((line) => `${line}\n`).join('')
