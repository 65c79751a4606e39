/** A bucket as a static web site (S3 API, "PutBucketWebsite"; S3 user guide, "Hosting a static website"). */
export type Website =
  | { redirectAllTo: { hostName: string; protocol?: 'http' | 'https' } }
  | { indexDocument: string; errorDocument?: string; routingRules: readonly RoutingRule[] }

export const ROUTING_RULES_MAX = 50 // S3 user guide, "Configuring a webpage redirect"

export interface RoutingRule {
  condition?: { keyPrefixEquals?: string; httpErrorCodeReturnedEquals?: string }
  redirect: {
    hostName?: string
    protocol?: 'http' | 'https'
    httpRedirectCode?: string
    replaceKeyPrefixWith?: string
    replaceKeyWith?: string
  }
}

export interface Redirect {
  status: number
  /** Protocol and host as the rule has them; null = those of the request. */
  protocol: 'http' | 'https' | null
  hostName: string | null
  key: string
}

/** What is redirected before anybody looks whether there is such an object. */
export function redirectOfKey(website: Website, key: string): Redirect | null {
  if ('redirectAllTo' in website) {
    const { hostName, protocol = null } = website.redirectAllTo
    return { status: 301, protocol, hostName, key }
  }
  return redirectOf(website.routingRules, key, null)
}

/** What is redirected because it could not be shown. */
export const redirectOfError = (rules: readonly RoutingRule[], key: string, status: number): Redirect | null =>
  redirectOf(rules, key, String(status))

/** The first rule whose conditions all hold. One that waits for an error does not hold before there is one. */
function redirectOf(rules: readonly RoutingRule[], key: string, errorCode: string | null): Redirect | null {
  const rule = rules.find(({ condition = {} }) => {
    const { keyPrefixEquals = '', httpErrorCodeReturnedEquals: code } = condition
    return key.startsWith(keyPrefixEquals) && (code === undefined ? errorCode === null : code === errorCode)
  })
  if (!rule) return null
  const { hostName = null, protocol = null, httpRedirectCode = '301', ...replace } = rule.redirect
  const prefix = rule.condition?.keyPrefixEquals ?? ''
  const renamed =
    replace.replaceKeyPrefixWith === undefined ? key : replace.replaceKeyPrefixWith + key.slice(prefix.length)
  return { status: Number(httpRedirectCode), protocol, hostName, key: replace.replaceKeyWith ?? renamed }
}
