/** WAYSCloud's backup policy: one object whose flat part speaks the published page's words, and its `policy` the clients'. */
import { z } from 'zod'
import { BACKUP_FREQUENCIES, DEFAULT_SCHEDULE, isTimeOfDay, RETENTION_DAYS, WEEKDAYS } from '../../model/backup.ts'
import { isUuid } from '../../model/ids.ts'
import type { BackupPolicy } from '../../services/backups/policies.ts'
import * as policies from '../../services/backups/policies.ts'
import { route } from '../http/route.ts'
import { Time, time } from './present.ts'

const Path = z.object({ vps_id: z.string().refine(isUuid) })
const noun = 'instance'
const path = '/v1/vps/{vps_id}/backup-policy'

const Common = {
  enabled: z.boolean(),
  frequency: z.enum(BACKUP_FREQUENCIES),
  retention_days: z.int(),
  next_backup_at: Time.nullable(),
}
const Policy = z
  .object({
    ...Common,
    day_of_week: z.enum(WEEKDAYS).optional().describe('only when weekly'),
    time: z.string().describe('`HH:MM`, UTC'),
    policy: z
      .object({
        ...Common,
        day_of_week: z.int().optional().describe('0 = Monday'),
        time_of_day: z.string(),
        last_backup_at: Time.nullable(),
      })
      .nullable()
      .describe('the same in the words of the clients; null = never set'),
  })
  .meta({ id: 'BackupPolicy' })

function presentPolicy(policy: BackupPolicy | null): z.infer<typeof Policy> {
  const { enabled, frequency, dayOfWeek, time: timeOfDay, retentionDays } = policy?.schedule ?? DEFAULT_SCHEDULE
  const common = {
    enabled,
    frequency,
    retention_days: retentionDays,
    next_backup_at: policy?.nextAt ? time(policy.nextAt) : null,
  }
  const isWeekly = frequency === 'weekly'
  return {
    ...common,
    ...(isWeekly && { day_of_week: dayOfWeek }),
    time: timeOfDay,
    policy: policy && {
      ...common,
      ...(isWeekly && { day_of_week: WEEKDAYS.indexOf(dayOfWeek) }),
      time_of_day: timeOfDay,
      last_backup_at: policy.lastAt && time(policy.lastAt),
    },
  }
}

const TimeOfDay = z.string().refine(isTimeOfDay, 'must be HH:MM in UTC, for example 02:00')
const DayOfWeek = z.union(
  [
    z
      .string()
      .transform((text) => text.toLowerCase())
      .pipe(z.enum(WEEKDAYS)),
    z
      .int()
      .min(0)
      .max(6)
      .transform((day) => WEEKDAYS[day]!),
  ],
  { error: 'must be the name of a day, or 0 for Monday to 6' },
)
const SetPolicy = z
  .object({
    enabled: z.boolean().nullish(),
    frequency: z.enum(BACKUP_FREQUENCIES).nullish(),
    day_of_week: DayOfWeek.nullish().describe('a name, or 0 for Monday to 6'),
    time: TimeOfDay.nullish(),
    time_of_day: TimeOfDay.nullish().describe('the same in the words of the clients'),
    retention_days: z.literal([...RETENTION_DAYS]).nullish(),
  })
  .meta({ id: 'SetBackupPolicyRequest', description: 'What is left out stays as it is.' })

export const getBackupPolicy = route({
  method: 'GET',
  path,
  summary: 'Get backup policy',
  scope: 'instances:read',
  noun,
  status: 200,
  params: Path,
  answer: Policy,
  run: async (ctx, { params }) => presentPolicy(await policies.get(ctx, params.vps_id)),
})

export const setBackupPolicy = route({
  method: 'PUT',
  path,
  summary: 'Set backup policy',
  scope: 'instances:write',
  noun,
  status: 200,
  params: Path,
  body: SetPolicy,
  answer: Policy,
  async run(ctx, { params, body: { enabled, frequency, day_of_week, time, time_of_day, retention_days } }) {
    const at = time ?? time_of_day
    const policy = await policies.set(ctx, params.vps_id, {
      ...(enabled != null && { enabled }),
      ...(frequency != null && { frequency }),
      ...(day_of_week != null && { dayOfWeek: day_of_week }),
      ...(at != null && { time: at }),
      ...(retention_days != null && { retentionDays: retention_days }),
    })
    return presentPolicy(policy)
  },
})

export const deleteBackupPolicy = route({
  method: 'DELETE',
  path,
  summary: 'Delete backup policy; the backups stay',
  scope: 'instances:write',
  noun,
  status: 200,
  params: Path,
  answer: z.object({ status: z.literal('deleted') }).meta({ id: 'BackupPolicyDeleted' }),
  async run(ctx, { params }) {
    await policies.remove(ctx, params.vps_id)
    return { status: 'deleted' as const }
  },
})
