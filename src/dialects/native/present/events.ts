import type * as events from '../../../services/events.ts'
import type * as contract from '../contract/events.ts'
import { time } from './common.ts'

export const presentEvent = ({ cursor, at, ...event }: events.CloudEvent): contract.CloudEvent => ({
  id: cursor,
  at: time(at),
  ...event,
})
