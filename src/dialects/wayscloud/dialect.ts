/** The API of WAYSCloud (VPS and Storage): see docs/dialects/wayscloud.md for what is mapped to what. */
import { apiKeyHeader, bearer } from '../http/auth.ts'
import { type Dialect, dialect, under } from '../http/route.ts'
import { getProfile } from './account.ts'
import * as backupPolicy from './backup-policy.ts'
import * as backups from './backups.ts'
import { getRegion, listPlans, listPlansOfRegion, listRegions, listTemplates, listVpsRegions } from './catalog.ts'
import { ErrorBody, errors } from './errors.ts'
import * as snapshots from './snapshots.ts'
import * as storage from './storage.ts'
import { createVps, deleteVps, getVps, getVpsStatus, listVps, rebootVps, startVps, stopVps, updateVps } from './vps.ts'

export const wayscloud = (): Dialect =>
  dialect({
    name: 'wayscloud',
    title: 'WAYSCloud VPS and Storage API',
    description: 'The API of WAYSCloud, for its existing clients. Every path is also served with a slash at its end.',
    owns: under('/v1', '/api/v1/dashboard', '/storage/s3'),
    // Its clients put a service key into either header, or into both.
    tokens: [apiKeyHeader, bearer],
    security: {
      apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'An API key in `X-API-Key`.' },
      bearer: { type: 'http', scheme: 'bearer', description: 'The same key as `Authorization: Bearer`.' },
    },
    errors,
    errorBody: ErrorBody,
    routes: [
      listVps,
      createVps,
      listPlans,
      listPlansOfRegion,
      listTemplates,
      listVpsRegions,
      getVps,
      getVpsStatus,
      startVps,
      stopVps,
      rebootVps,
      deleteVps,
      updateVps,
      ...Object.values(snapshots),
      ...Object.values(backups),
      ...Object.values(backupPolicy),
      listRegions,
      getRegion,
      getProfile,
      ...Object.values(storage),
    ],
  })
