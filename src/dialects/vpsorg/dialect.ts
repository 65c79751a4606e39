/** The Server API of VPS.org: see docs/dialects/vpsorg.md for what is mapped to what. */
import { bearer } from '../http/auth.ts'
import { type Dialect, dialect, under } from '../http/route.ts'
import { ErrorBody, errors } from './errors.ts'
import {
  createServer,
  deleteServer,
  getServer,
  listServers,
  patchServer,
  rebootServer,
  startServer,
  stopServer,
  updateServer,
} from './servers.ts'

export const vpsorg = (): Dialect =>
  dialect({
    name: 'vpsorg',
    title: 'VPS.org Server API',
    description:
      'The Server API of VPS.org, for its existing clients. Every path is served with and without the slash at its end.',
    owns: under('/api/v1/servers'),
    tokens: [bearer],
    security: {
      bearer: { type: 'http', scheme: 'bearer', description: 'An API key as `Authorization: Bearer`.' },
    },
    errors,
    errorBody: ErrorBody,
    hidesMethods: true,
    routes: [
      listServers,
      createServer,
      getServer,
      updateServer,
      patchServer,
      deleteServer,
      startServer,
      stopServer,
      rebootServer,
    ],
  })
