import * as accounts from '../../services/accounts.ts'
import { route } from '../http/route.ts'
import { Profile, presentProfile } from './present.ts'

/** Not of the published API: the vendor's CLI asks it at `login` and `whoami`. */
export const getProfile = route({
  method: 'GET',
  path: '/api/v1/dashboard/account/profile',
  summary: 'Who the caller is',
  scope: 'account:read',
  status: 200,
  answer: Profile,
  run: async (ctx) => presentProfile(await accounts.own(ctx)),
})
