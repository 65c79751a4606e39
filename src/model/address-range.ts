/** A block of IPv4 or IPv6 addresses, `203.0.113.0/24`, `2001:db8::/32` or one address, as policies write them. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

export interface AddressRange {
  family: 4 | 6
  /** Length of the prefix in bits. */
  prefix: number
  text: string
  /** IPv4 addresses are also known in their IPv6 form, `::ffff:203.0.113.9`. */
  contains(address: string): boolean
}

/** Null when the text is no block. */
export function parseAddressRange(text: string): AddressRange | null {
  const [address = '', length, ...rest] = text.split('/')
  if (rest.length > 0 || (length !== undefined && !/^\d{1,3}$/.test(length))) return null
  const family = isIPv4(address) ? 4 : isIPv6(address) && !address.includes('%') ? 6 : null
  if (family === null) return null
  const bits = family === 4 ? 32 : 128
  const prefix = length === undefined ? bits : Number(length)
  if (prefix > bits) return null
  const list = new BlockList()
  list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6')
  return {
    family,
    prefix,
    text,
    contains(other) {
      if (isIPv4(other)) return list.check(other, 'ipv4')
      return isIPv6(other) && list.check(other, 'ipv6')
    },
  }
}
