/** How a bucket is shown as a web site, as XML (S3 API, "PutBucketWebsite"). Who shows it is website.ts. */
import { S3Error } from '../../model/s3-error.ts'
import { ROUTING_RULES_MAX, type RoutingRule, type Website } from '../../model/website.ts'
import * as settings from '../../services/buckets/settings.ts'
import type { BucketOperation } from './operation.ts'
import { group, leaf, resultXml, type Xml } from './xml.ts'
import {
  allowOnly,
  childrenOf,
  findChild,
  findText,
  getChild,
  getText,
  malformed,
  parseXml,
  type XmlElement,
} from './xml-parse.ts'

export const websiteOperations: readonly BucketOperation[] = [
  {
    name: 'GetBucketWebsite',
    on: 'bucket',
    method: 'GET',
    query: ['website'],
    action: 's3:GetBucketWebsite',
    async run({ bucket }) {
      const { website } = bucket.settings
      if (!website) {
        throw new S3Error('NoSuchWebsiteConfiguration', undefined, { elements: { BucketName: bucket.name } })
      }
      return { xml: resultXml('WebsiteConfiguration', present(website)) }
    },
  },
  {
    name: 'PutBucketWebsite',
    on: 'bucket',
    method: 'PUT',
    query: ['website'],
    action: 's3:PutBucketWebsite',
    body: 'document',
    async run(call) {
      await settings.put(call.ctx, call.bucket, 'website', parseWebsite(await call.document()))
      return { status: 200 }
    },
  },
  {
    name: 'DeleteBucketWebsite',
    on: 'bucket',
    method: 'DELETE',
    query: ['website'],
    action: 's3:DeleteBucketWebsite',
    async run({ ctx, bucket }) {
      await settings.remove(ctx, bucket, 'website')
      return { status: 204 }
    },
  },
]

function present(website: Website): Xml[] {
  if ('redirectAllTo' in website) {
    const { hostName, protocol } = website.redirectAllTo
    return [group('RedirectAllRequestsTo', [leaf('HostName', hostName), leaf('Protocol', protocol)])]
  }
  const { indexDocument, errorDocument, routingRules } = website
  return [
    group('IndexDocument', [leaf('Suffix', indexDocument)]),
    ...(errorDocument === undefined ? [] : [group('ErrorDocument', [leaf('Key', errorDocument)])]),
    ...(routingRules.length === 0 ? [] : [group('RoutingRules', routingRules.map(presentRule))]),
  ]
}

const presentRule = ({ condition, redirect }: RoutingRule): Xml =>
  group('RoutingRule', [
    ...(condition
      ? [
          group('Condition', [
            leaf('HttpErrorCodeReturnedEquals', condition.httpErrorCodeReturnedEquals),
            leaf('KeyPrefixEquals', condition.keyPrefixEquals),
          ]),
        ]
      : []),
    group('Redirect', [
      leaf('HostName', redirect.hostName),
      leaf('HttpRedirectCode', redirect.httpRedirectCode),
      leaf('Protocol', redirect.protocol),
      leaf('ReplaceKeyPrefixWith', redirect.replaceKeyPrefixWith),
      leaf('ReplaceKeyWith', redirect.replaceKeyWith),
    ]),
  ])

export function parseWebsite(document: Uint8Array): Website {
  const root = parseXml(document, 'WebsiteConfiguration')
  allowOnly(root, ['IndexDocument', 'ErrorDocument', 'RedirectAllRequestsTo', 'RoutingRules'])
  const all = findChild(root, 'RedirectAllRequestsTo')
  if (all) {
    if (root.children.length > 1) {
      throw new S3Error(
        'InvalidArgument',
        'RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.',
      )
    }
    allowOnly(all, ['HostName', 'Protocol'])
    return { redirectAllTo: { hostName: hostName(getText(all, 'HostName')), ...protocolOf(all) } }
  }
  const index = findChild(root, 'IndexDocument')
  if (!index)
    throw new S3Error(
      'InvalidArgument',
      'A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty',
    )
  allowOnly(index, ['Suffix'])
  const suffix = getText(index, 'Suffix')
  if (suffix === '' || suffix.includes('/')) {
    throw new S3Error('InvalidArgument', 'The IndexDocument Suffix is not well formed')
  }
  const error = findChild(root, 'ErrorDocument')
  if (error) allowOnly(error, ['Key'])
  return {
    indexDocument: suffix,
    ...(error && { errorDocument: filled(getText(error, 'Key'), 'ErrorDocument') }),
    routingRules: parseRules(findChild(root, 'RoutingRules')),
  }
}

function parseRules(element: XmlElement | undefined): RoutingRule[] {
  if (!element) return []
  allowOnly(element, ['RoutingRule'])
  const rules = childrenOf(element, 'RoutingRule')
  if (rules.length > ROUTING_RULES_MAX) {
    throw new S3Error(
      'InvalidRequest',
      `${rules.length} routing rules provided, the number of routing rules in a website configuration is limited to ${ROUTING_RULES_MAX}.`,
    )
  }
  return rules.map(parseRule)
}

function parseRule(element: XmlElement): RoutingRule {
  allowOnly(element, ['Condition', 'Redirect'])
  const redirect = getChild(element, 'Redirect')
  allowOnly(redirect, ['HostName', 'HttpRedirectCode', 'Protocol', 'ReplaceKeyPrefixWith', 'ReplaceKeyWith'])
  const text = (name: string) => findText(redirect, name)
  const [host, code, prefix, key] = ['HostName', 'HttpRedirectCode', 'ReplaceKeyPrefixWith', 'ReplaceKeyWith'].map(text)
  if (prefix !== undefined && key !== undefined) {
    throw new S3Error('InvalidRequest', 'You can only define ReplaceKeyPrefix or ReplaceKey but not both.')
  }
  if (code !== undefined && !/^30[1-478]$/.test(code)) {
    throw new S3Error(
      'InvalidRequest',
      `The provided HTTP redirect code (${code}) is not valid. Valid codes are 3XX except 300.`,
    )
  }
  const condition = parseCondition(findChild(element, 'Condition'))
  return {
    ...(condition && { condition }),
    redirect: {
      ...(host !== undefined && { hostName: hostName(host) }),
      ...(code !== undefined && { httpRedirectCode: code }),
      ...protocolOf(redirect),
      ...(prefix !== undefined && { replaceKeyPrefixWith: prefix }),
      ...(key !== undefined && { replaceKeyWith: key }),
    },
  }
}

function parseCondition(element: XmlElement | undefined): RoutingRule['condition'] | undefined {
  if (!element) return undefined
  allowOnly(element, ['HttpErrorCodeReturnedEquals', 'KeyPrefixEquals'])
  const code = findText(element, 'HttpErrorCodeReturnedEquals')
  const prefix = findText(element, 'KeyPrefixEquals')
  if (code === undefined && prefix === undefined) throw malformed('an empty Condition')
  if (code !== undefined && !/^[45]\d\d$/.test(code)) {
    throw new S3Error(
      'InvalidRequest',
      `The provided HTTP error code (${code}) is not valid. Valid codes are 4XX or 5XX.`,
    )
  }
  return {
    ...(code !== undefined && { httpErrorCodeReturnedEquals: code }),
    ...(prefix !== undefined && { keyPrefixEquals: prefix }),
  }
}

function protocolOf(element: XmlElement): { protocol?: 'http' | 'https' } {
  const protocol = findText(element, 'Protocol')?.trim()
  if (protocol === undefined) return {}
  if (protocol !== 'http' && protocol !== 'https') {
    throw new S3Error(
      'InvalidRequest',
      'Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.',
    )
  }
  return { protocol }
}

/** It goes out in a Location header. */
function hostName(text: string): string {
  if (!/^[\w.-]+(?::\d{1,5})?(?:\/[\w./~-]*)?$/.test(text))
    throw new S3Error('InvalidArgument', `${text} is no host name`)
  return text
}

function filled(text: string, name: string): string {
  if (text === '') throw new S3Error('InvalidArgument', `The ${name} must not be empty`)
  return text
}
