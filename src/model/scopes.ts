/**
 * What a credential may do. A key's service (`vps`, `storage`, … or `api` for all) is turned into scopes when the key
 * is made, so a check is one set look-up. `operator` opens the view over all accounts.
 */
export const SCOPES = [
  'instances:read',
  'instances:write',
  'images:read',
  'images:write',
  'storage:read',
  'storage:write',
  'account:read',
  'account:write',
  'operator',
] as const
export type Scope = (typeof SCOPES)[number]

export const SERVICES = ['api', 'pat', 'vps', 'storage', 'dns'] as const
export type KeyService = (typeof SERVICES)[number]

const TENANT_SCOPES: readonly Scope[] = [
  'instances:read',
  'instances:write',
  'images:read',
  'storage:read',
  'storage:write',
  'account:read',
  'account:write',
]

/** The widest scopes a key of that service may have. */
export const SCOPES_OF_SERVICE: Record<KeyService, readonly Scope[]> = {
  api: TENANT_SCOPES,
  pat: TENANT_SCOPES,
  vps: ['instances:read', 'instances:write', 'images:read', 'account:read'],
  storage: ['storage:read', 'storage:write', 'account:read'],
  dns: ['account:read'],
}

/** The scopes of a key that may look but not touch. */
export const readOnly = (scopes: readonly Scope[]): Scope[] => scopes.filter((scope) => scope.endsWith(':read'))
