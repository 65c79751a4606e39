/** A bucket as a static web site (S3 API, "PutBucketWebsite"). */
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
