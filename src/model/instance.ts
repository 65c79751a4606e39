/** The instance: its states, and which action is allowed from which of them. Read by services, dialects, CLI and console. */

export const INSTANCE_STATES = [
  'provisioning',
  'stopped',
  'starting',
  'running',
  'stopping',
  'rebooting',
  'rebuilding',
  'restoring',
  'failed',
  'deleting',
  'deleted',
] as const
export type InstanceState = (typeof INSTANCE_STATES)[number]

/** States in which a strand is working; a poll will see another state soon. */
export const TRANSIENT_STATES: readonly InstanceState[] = [
  'provisioning',
  'starting',
  'stopping',
  'rebooting',
  'rebuilding',
  'restoring',
  'deleting',
]

export type InstanceAction = 'start' | 'stop' | 'reboot' | 'rebuild'

/** Deleting is not here: it is an intent, accepted in every state, and it wins. */
const ALLOWED_FROM: Record<InstanceAction, readonly InstanceState[]> = {
  start: ['stopped', 'failed'],
  stop: ['running', 'failed'],
  reboot: ['running'],
  rebuild: ['running', 'stopped', 'failed'],
}

export const canInstance = (action: InstanceAction, state: InstanceState): boolean =>
  ALLOWED_FROM[action].includes(state)

export type Power = 'on' | 'off'

/** RFC 1123 host name, one or more labels, at most 253 characters. */
const HOSTNAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i
export const isHostname = (text: string): boolean => HOSTNAME.test(text)
export const HOSTNAME_RULE =
  'a host name is 1-253 characters of letters, digits, hyphens and dots; each label starts and ends with a letter or digit and has at most 63'

/** Characters of the owner's note. */
export const REFERENCE_MAX = 255

export const SSH_KEYS_MAX = 64
