/** What a request says about itself when a policy's condition asks (S3 user guide, "Policy keys for Amazon S3"). */
import type { CONDITION_KEYS } from '../../model/bucket-policy-condition.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import type { Wish } from './access.ts'

type ConditionKey = (typeof CONDITION_KEYS)[number]
type Values = (ctx: S3Ctx, wish: Wish) => string | readonly string[] | null | undefined

/** The values of a condition key, in lower case but for a tag's; none = the request does not have it. */
export function conditionValues(key: string, ctx: S3Ctx, wish: Wish): readonly string[] {
  const value = Object.hasOwn(VALUES, key) ? VALUES[key as ConditionKey](ctx, wish) : tagOf(key, wish)
  return value === null || value === undefined ? [] : typeof value === 'string' ? [value] : value
}

function tagOf(key: string, { version, requestTags }: Wish): string | undefined {
  const slash = key.indexOf('/')
  const [kind, name] = [key.slice(0, slash), key.slice(slash + 1)]
  const tags = kind === 's3:existingobjecttag' ? version?.tags : requestTags
  return tags && Object.hasOwn(tags, name) ? tags[name] : undefined
}

/** The `x-amz-…` parameters of a presigned URL are among them, as they take effect like the header. */
const header =
  (name: string): Values =>
  ({ request }) =>
    request.header(name)
const query =
  (name: string): Values =>
  ({ request }) =>
    request.query(name)
const seconds = () => String(Math.floor(Date.now() / 1000))

const VALUES: Record<ConditionKey, Values> = {
  'aws:currenttime': seconds,
  'aws:epochtime': seconds,
  'aws:principalaccount': ({ caller }) => caller && [String(caller.accountNumber).padStart(12, '0'), caller.accountId],
  'aws:principaltype': ({ caller }) => (caller ? 'Account' : 'Anonymous'),
  'aws:referer': header('referer'),
  'aws:securetransport': ({ request }) => String(request.isSecure),
  'aws:sourceip': ({ request }) => request.sourceIp,
  'aws:useragent': header('user-agent'),
  'aws:userid': ({ caller }) => caller?.accountId,
  's3:authtype': ({ caller, request }) =>
    caller && (request.query('X-Amz-Signature') === undefined ? 'REST-HEADER' : 'REST-QUERY-STRING'),
  's3:delimiter': query('delimiter'),
  's3:max-keys': query('max-keys'),
  's3:object-lock-legal-hold': header('x-amz-object-lock-legal-hold'),
  's3:object-lock-mode': header('x-amz-object-lock-mode'),
  's3:object-lock-remaining-retention-days': ({ request }) => {
    const until = Date.parse(request.header('x-amz-object-lock-retain-until-date') ?? '')
    return Number.isNaN(until) ? undefined : String(Math.ceil((until - Date.now()) / 86_400_000))
  },
  's3:object-lock-retain-until-date': header('x-amz-object-lock-retain-until-date'),
  's3:prefix': query('prefix'),
  's3:requestobjecttagkeys': (_ctx, { requestTags }) => requestTags && Object.keys(requestTags),
  's3:resourceaccount': (_ctx, { bucket }) => bucket.accountId,
  's3:signatureversion': ({ caller }) => caller && 'AWS4-HMAC-SHA256',
  's3:versionid': query('versionId'),
  's3:x-amz-acl': header('x-amz-acl'),
  's3:x-amz-content-sha256': header('x-amz-content-sha256'),
  's3:x-amz-copy-source': (ctx, wish) => decoded(header('x-amz-copy-source')(ctx, wish)),
  's3:x-amz-grant-full-control': header('x-amz-grant-full-control'),
  's3:x-amz-grant-read': header('x-amz-grant-read'),
  's3:x-amz-grant-read-acp': header('x-amz-grant-read-acp'),
  's3:x-amz-grant-write': header('x-amz-grant-write'),
  's3:x-amz-grant-write-acp': header('x-amz-grant-write-acp'),
  's3:x-amz-metadata-directive': header('x-amz-metadata-directive'),
  's3:x-amz-object-ownership': header('x-amz-object-ownership'),
  's3:x-amz-server-side-encryption': header('x-amz-server-side-encryption'),
  's3:x-amz-server-side-encryption-customer-algorithm': header('x-amz-server-side-encryption-customer-algorithm'),
  's3:x-amz-storage-class': header('x-amz-storage-class'),
  's3:x-amz-website-redirect-location': header('x-amz-website-redirect-location'),
}

/** `bucket/key` however the client wrote it. */
function decoded(source: ReturnType<Values>): string | undefined {
  if (typeof source !== 'string') return undefined
  const path = source.replace(/\?versionId=.*$/, '')
  try {
    return decodeURIComponent(path).replace(/^\//, '')
  } catch {
    return path.replace(/^\//, '')
  }
}
