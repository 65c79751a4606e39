/** ACLs on the wire: as XML both ways, as a canned name, as grant headers (S3 user guide, "ACL overview"). */
import {
  type Acl,
  type AclWish,
  CANNED_ACLS,
  GRANTS_MAX,
  type Grantee,
  PERMISSIONS,
  type Permission,
  type WishedGrant,
} from '../../model/acl.ts'
import { S3Error } from '../../model/s3-error.ts'
import { group, leaf, resultXml, type Xml } from './xml.ts'
import { allowOnly, childrenOf, findText, getChild, getText, parseXml, type XmlElement } from './xml-parse.ts'

const GROUPS: readonly (readonly [kind: Exclude<Grantee['kind'], 'account'>, uri: string])[] = [
  ['everyone', 'http://acs.amazonaws.com/groups/global/AllUsers'],
  ['authenticated', 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers'],
  ['logDelivery', 'http://acs.amazonaws.com/groups/s3/LogDelivery'],
]
const XSI = { 'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance' }

export function presentAcl(owner: Xml, acl: Acl): string {
  const grants = acl.grants.map(({ grantee, permission }) =>
    group('Grant', [presentGrantee(grantee), leaf('Permission', permission)]),
  )
  return resultXml('AccessControlPolicy', [owner, group('AccessControlList', grants)])
}

function presentGrantee(grantee: Grantee): Xml {
  if (grantee.kind === 'account') {
    return group('Grantee', [leaf('ID', grantee.canonicalId)], { ...XSI, 'xsi:type': 'CanonicalUser' })
  }
  const uri = GROUPS.find(([kind]) => kind === grantee.kind)?.[1]
  return group('Grantee', [leaf('URI', uri)], { ...XSI, 'xsi:type': 'Group' })
}

/** Throws MalformedACLError, or InvalidArgument for a group that does not exist. */
export function parseAcl(bytes: Uint8Array): AclWish {
  try {
    const root = parseXml(bytes, 'AccessControlPolicy')
    allowOnly(root, ['Owner', 'AccessControlList'])
    const list = getChild(root, 'AccessControlList')
    allowOnly(list, ['Grant'])
    const grants = childrenOf(list, 'Grant').map(parseGrant)
    if (grants.length > GRANTS_MAX) throw new S3Error('MalformedACLError')
    return { ownerId: findText(getChild(root, 'Owner'), 'ID') ?? null, grants }
  } catch (error) {
    if (error instanceof S3Error && error.s3Code === 'MalformedXML') {
      throw new S3Error('MalformedACLError', undefined, { cause: error })
    }
    throw error
  }
}

function parseGrant(element: XmlElement): WishedGrant {
  allowOnly(element, ['Grantee', 'Permission'])
  const permission = getText(element, 'Permission').trim()
  if (!isPermission(permission)) throw new S3Error('MalformedACLError')
  const grantee = getChild(element, 'Grantee')
  allowOnly(grantee, ['ID', 'DisplayName', 'URI', 'EmailAddress'])
  const named = GRANTEE_NAMES.flatMap(([element, kind]) => {
    const value = findText(grantee, element)?.trim()
    return value ? [granteeOf(kind, value)] : []
  })
  if (named.length !== 1) throw new S3Error('MalformedACLError')
  return { grantee: named[0] as WishedGrant['grantee'], permission }
}

type Kind = 'id' | 'uri' | 'emailAddress'
const GRANTEE_NAMES: readonly (readonly [element: string, kind: Kind])[] = [
  ['ID', 'id'],
  ['URI', 'uri'],
  ['EmailAddress', 'emailAddress'],
]
const isPermission = (text: string): text is Permission => (PERMISSIONS as readonly string[]).includes(text)

function granteeOf(kind: Kind, value: string): WishedGrant['grantee'] {
  if (kind === 'id') return { kind: 'account', canonicalId: value.toLowerCase() }
  if (kind === 'emailAddress') return { kind: 'email', email: value }
  const known = GROUPS.find(([, uri]) => uri === value)
  if (!known) throw new S3Error('InvalidArgument', 'Invalid group uri', { elements: { ArgumentValue: value } })
  return { kind: known[0] }
}

const GRANT_HEADERS: readonly (readonly [name: string, permission: Permission])[] = [
  ['x-amz-grant-read', 'READ'],
  ['x-amz-grant-write', 'WRITE'],
  ['x-amz-grant-read-acp', 'READ_ACP'],
  ['x-amz-grant-write-acp', 'WRITE_ACP'],
  ['x-amz-grant-full-control', 'FULL_CONTROL'],
]

/**
 * What `x-amz-acl` or the `x-amz-grant-…` headers ask for; undefined when there are none. Throws InvalidArgument, and
 * InvalidRequest when both are there.
 */
export function aclOfHeaders(header: (name: string) => string | undefined): AclWish | undefined {
  const canned = header('x-amz-acl')
  const grants = GRANT_HEADERS.flatMap(([name, permission]) => {
    const value = header(name)
    return value === undefined ? [] : parseGrantees(name, value).map((grantee) => ({ grantee, permission }))
  })
  if (canned === undefined) return grants.length === 0 ? undefined : { grants, ownerId: null }
  if (grants.length > 0) {
    throw new S3Error('InvalidRequest', 'Specifying both Canned ACLs and Header Grants is not allowed')
  }
  const known = CANNED_ACLS.find((name) => name === canned)
  if (!known) {
    throw new S3Error('InvalidArgument', undefined, {
      elements: { ArgumentName: 'x-amz-acl', ArgumentValue: canned },
    })
  }
  return { canned: known }
}

/** `id="…", uri="…", emailAddress="…"`, the quotes as one likes. */
function parseGrantees(name: string, text: string): WishedGrant['grantee'][] {
  const refused = () =>
    new S3Error('InvalidArgument', 'Argument format not recognized', {
      elements: { ArgumentName: name, ArgumentValue: text },
    })
  const grantees = text.split(',').map((item) => {
    const match = /^\s*(id|uri|emailAddress)\s*=\s*(?:"([^"]+)"|'([^']+)'|([^"'\s]+))\s*$/i.exec(item)
    const kind = GRANTEE_NAMES.find(([, known]) => known.toLowerCase() === match?.[1]?.toLowerCase())?.[1]
    if (!match || !kind) throw refused()
    return granteeOf(kind, (match[2] ?? match[3] ?? match[4]) as string)
  })
  if (grantees.length > GRANTS_MAX) throw refused()
  return grantees
}
