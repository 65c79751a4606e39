/** The Virtual Servers API v2 of Leaseweb: see docs/dialects/leaseweb.md for what is mapped to what. */
import { bearer, leasewebHeader } from '../http/auth.ts'
import { type Dialect, dialect, under } from '../http/route.ts'
import * as credentials from './credentials.ts'
import * as dataTraffic from './data-traffic.ts'
import { ErrorBody, errors } from './errors.ts'
import * as snapshots from './snapshots.ts'
import * as virtualServers from './virtual-servers.ts'

export const leaseweb = (): Dialect =>
  dialect({
    name: 'leaseweb',
    title: 'Leaseweb Virtual Servers API v2',
    description:
      'The Virtual Servers API v2 of Leaseweb, for its existing clients. What takes time answers 202 with a job; watch the server or the snapshot for its end.',
    owns: under('/cloud'),
    tokens: [leasewebHeader, bearer],
    security: {
      lswAuth: { type: 'apiKey', in: 'header', name: 'X-LSW-Auth', description: 'An API key in `X-LSW-Auth`.' },
      bearer: { type: 'http', scheme: 'bearer', description: 'The same key as `Authorization: Bearer`.' },
    },
    errors,
    errorBody: ErrorBody,
    requestId: {
      header: 'apigw-correlation-id',
      accepts: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
    },
    routes: [virtualServers, credentials, dataTraffic, snapshots].flatMap((part) => Object.values(part)),
  })
