/** One line per request. Nothing that a client sent gets into it unescaped: it is read in terminals. */
export interface AccessEntry {
  requestId: string
  method: string
  /** As sent. */
  path: string
  operation: string | null
  bucket: string | null
  status: number
  errorCode: string | null
  ms: number
  bytesIn: number
  bytesOut: number
  accessKeyId: string | null
  accountId: string | null
  address: string
  agent: string | null
}

/** A presigned URL is a permission, and so is a link to a backup: whoever reads the log must not be able to use it. */
const SECRETS = /(signature|X-Amz-Security-Token)=[^&]*/gi
const PATH_SHOWN_MAX = 2_048
const AGENT_SHOWN_MAX = 200

/** JSON of printable ASCII alone; `level` is pino's number, as in the API's log. */
export function accessLine(entry: AccessEntry, at: Date): string {
  const shown = {
    level: 30,
    time: at.toISOString(),
    ...entry,
    path: entry.path.replace(SECRETS, '$1=hidden').slice(0, PATH_SHOWN_MAX),
    agent: entry.agent?.slice(0, AGENT_SHOWN_MAX) ?? null,
  }
  return printable(JSON.stringify(shown))
}

/** JSON escapes what is below 0x20; terminals obey more than that. */
export const printable = (json: string): string =>
  json.replace(/[\u007f-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
