import type * as snapshots from '../../../services/snapshots.ts'
import type * as contract from '../contract/snapshots.ts'
import { maybe, time } from './common.ts'

export const presentSnapshot = (snapshot: snapshots.Snapshot): contract.Snapshot => ({
  id: snapshot.id,
  uuid: snapshot.uuid,
  number: snapshot.number,
  instanceId: snapshot.instanceId,
  name: snapshot.name,
  description: snapshot.description,
  hasMemory: snapshot.hasMemory,
  state: snapshot.state,
  stateReason: snapshot.stateReason,
  sizeBytes: snapshot.sizeBytes,
  createdAt: time(snapshot.createdAt),
  takenAt: maybe(snapshot.takenAt),
})
