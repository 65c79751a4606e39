/**
 * The native API's contract: every request and answer as a schema, every call as data. The server validates with it and
 * makes its OpenAPI document of it; the CLI and the console import the contract and nothing else of the server, so what
 * compiles against it is what the wire carries. Each noun has a file in `contract/`: its schemas, their types and its
 * calls; here they come together.
 *
 * Conventions: camelCase; units last (`memoryMib`, `diskGib`); money in minor units; times are ISO 8601 in UTC; lists
 * are `{items, total}` with `limit` (at most 1000) and `offset`; an id in a path may be the text id, the UUID, the
 * number or the name. Work that outlives the call answers 202 with the `operation` to poll. An error is
 * `{error: {code, message, issues?, requestId}}`. The type of what a client may send is `z.input`: fields with a default
 * are optional.
 */
import { accessKeysEndpoints } from './contract/access-keys.ts'
import { accountsEndpoints } from './contract/accounts.ts'
import { apiKeysEndpoints } from './contract/api-keys.ts'
import { auditEndpoints } from './contract/audit.ts'
import { backupPoliciesEndpoints } from './contract/backup-policies.ts'
import { backupsEndpoints } from './contract/backups.ts'
import { bucketsEndpoints } from './contract/buckets.ts'
import { catalogEndpoints } from './contract/catalog.ts'
import { credentialsEndpoints } from './contract/credentials.ts'
import { eventsEndpoints } from './contract/events.ts'
import { imagesEndpoints } from './contract/images.ts'
import { instancesEndpoints } from './contract/instances.ts'
import { metricsEndpoints } from './contract/metrics.ts'
import { operationsEndpoints } from './contract/operations.ts'
import { operatorEndpoints } from './contract/operator.ts'
import { receiptsEndpoints } from './contract/receipts.ts'
import { rsyncAccountsEndpoints } from './contract/rsync-accounts.ts'
import { snapshotsEndpoints } from './contract/snapshots.ts'
import { sshKeysEndpoints } from './contract/ssh-keys.ts'
import { statusEndpoints } from './contract/status.ts'
import { storageQuotaEndpoints } from './contract/storage-quota.ts'

export const endpoints = {
  ...instancesEndpoints,
  ...credentialsEndpoints,
  ...operationsEndpoints,
  ...catalogEndpoints,
  ...imagesEndpoints,
  ...operatorEndpoints,
  ...accountsEndpoints,
  ...sshKeysEndpoints,
  ...apiKeysEndpoints,
  ...snapshotsEndpoints,
  ...backupsEndpoints,
  ...backupPoliciesEndpoints,
  ...receiptsEndpoints,
  ...rsyncAccountsEndpoints,
  ...metricsEndpoints,
  ...bucketsEndpoints,
  ...accessKeysEndpoints,
  ...storageQuotaEndpoints,
  ...auditEndpoints,
  ...statusEndpoints,
  ...eventsEndpoints,
}
