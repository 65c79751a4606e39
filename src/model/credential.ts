/** The credential: what somebody logs in with to what runs inside an instance. */

export const CREDENTIAL_TYPES = ['operating_system', 'control_panel'] as const
export type CredentialType = (typeof CREDENTIAL_TYPES)[number]

/** Of one instance. */
export const CREDENTIALS_MAX = 1_000
export const CREDENTIAL_USERNAME_MAX = 255
export const CREDENTIAL_PASSWORD_MAX = 1024
