/** Writes down the hours that are over of buckets that nobody writes to; the others do it when they are written to. */
import { closeHours as closeHoursOf } from '../../store/object-usage.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import type { ObjectTools } from '../tools.ts'

export const closeHours: Reconciler<ObjectTools> = {
  name: 'objects.hours',
  everyMs: 5 * 60_000,
  run: ({ db }) => closeHoursOf(db),
}
