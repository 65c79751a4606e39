/** Our own API: what the console and the CLI speak. */
import { apiKeyHeader, basic, bearer } from '../http/auth.ts'
import { type Dialect, dialect, under } from '../http/route.ts'
import * as accessKeys from './access-keys.ts'
import { createAccount, getAccount, getCredit, getCreditOf, listAccounts, setCredit } from './accounts.ts'
import * as apiKeys from './api-keys.ts'
import { listAudit } from './audit.ts'
import * as policies from './backup-policies.ts'
import * as backups from './backups.ts'
import * as buckets from './buckets.ts'
import { listPlans, listRegions } from './catalog.ts'
import { ErrorBody } from './contract/errors.ts'
import * as credentials from './credentials.ts'
import { errors } from './errors.ts'
import { type OnEvent, streamEvents } from './events.ts'
import { buildImage, deleteImage, importImage, listImages, uploadImage } from './images.ts'
import {
  createInstance,
  deleteInstance,
  getInstance,
  getInstanceLog,
  getInstanceStats,
  listInstances,
  rebootInstance,
  rebuildInstance,
  startInstance,
  stopInstance,
  updateInstance,
} from './instances.ts'
import { getInstanceMetrics, getInstanceTraffic } from './metrics.ts'
import { getOperation, listOperations } from './operations.ts'
import { listHosts, listIncidents, recoverIncident } from './operator.ts'
import * as receipts from './receipts.ts'
import * as rsyncAccounts from './rsync-accounts.ts'
import * as snapshots from './snapshots.ts'
import { addSshKey, deleteSshKey, listSshKeys } from './ssh-keys.ts'
import { getStatus } from './status.ts'
import * as storageQuota from './storage-quota.ts'

/** `onEvent` shortens the way of an event to those who watch; without it they see it within a second. */
export const native = ({ onEvent }: { onEvent?: OnEvent } = {}): Dialect =>
  dialect({
    name: 'native',
    title: 'Havn API',
    description:
      'The native API of this cloud: everything that the console and the command line can do. Lists are `{items, total}` with `limit` and `offset`; an id in a path may be the text id, the UUID, the number or the name; every POST takes an `Idempotency-Key`. What outlives the call answers 202 with an `operation` to poll, and `GET /havn/v1/events` tells of every change.',
    owns: under('/havn'),
    tokens: [apiKeyHeader, bearer, basic],
    security: {
      bearer: { type: 'http', scheme: 'bearer', description: 'An API key as `Authorization: Bearer`.' },
      apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'The same key in `X-API-Key`.' },
      basic: { type: 'http', scheme: 'basic', description: "HTTP Basic: the account's e-mail and the key." },
    },
    errors,
    errorBody: ErrorBody,
    takesNames: true,
    routes: [
      listInstances,
      createInstance,
      getInstance,
      updateInstance,
      deleteInstance,
      startInstance,
      stopInstance,
      rebootInstance,
      rebuildInstance,
      ...Object.values(credentials),
      getInstanceLog,
      getInstanceStats,
      getInstanceMetrics,
      getInstanceTraffic,
      ...Object.values(snapshots),
      ...Object.values(backups),
      ...Object.values(receipts),
      ...Object.values(policies),
      ...Object.values(rsyncAccounts),
      listOperations,
      getOperation,
      listRegions,
      listPlans,
      listImages,
      buildImage,
      importImage,
      uploadImage,
      deleteImage,
      getStatus,
      streamEvents(onEvent),
      getAccount,
      getCredit,
      listSshKeys,
      addSshKey,
      deleteSshKey,
      ...Object.values(apiKeys),
      ...Object.values(buckets),
      ...Object.values(accessKeys),
      ...Object.values(storageQuota),
      listAudit,
      listHosts,
      listIncidents,
      recoverIncident,
      listAccounts,
      createAccount,
      getCreditOf,
      setCredit,
    ],
  })
