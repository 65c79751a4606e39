import { z } from 'zod'
import { CREDENTIAL_PASSWORD_MAX, CREDENTIAL_TYPES, CREDENTIAL_USERNAME_MAX } from '../../../model/credential.ts'
import { type Endpoint, listOf, Paging, Ref, Timestamp, V } from './common.ts'

const CredentialFields = {
  type: z.enum(CREDENTIAL_TYPES),
  username: z
    .string()
    .min(1)
    .max(CREDENTIAL_USERNAME_MAX)
    .regex(/^[^\p{Cc}]+$/u, 'must not hold control characters'),
}

const Password = z.string().min(1).max(CREDENTIAL_PASSWORD_MAX)

export const Credential = z
  .object({ type: z.enum(CREDENTIAL_TYPES), username: z.string(), createdAt: Timestamp, updatedAt: Timestamp })
  .meta({ id: 'Credential' })
export type Credential = z.infer<typeof Credential>

export const ListCredentialsQuery = z.strictObject({ ...Paging, type: z.enum(CREDENTIAL_TYPES).optional() })

export const PutCredential = z
  .strictObject({ ...CredentialFields, password: Password })
  .meta({ id: 'PutCredential', description: 'Kept for you; nothing is changed inside the instance.' })

export const RevealCredential = z.strictObject(CredentialFields).meta({ id: 'RevealCredential' })

export const CredentialSecret = z
  .object({ type: z.enum(CREDENTIAL_TYPES), username: z.string(), password: z.string() })
  .meta({ id: 'CredentialSecret' })

export const credentialsEndpoints = {
  listCredentials: {
    method: 'GET',
    path: `${V}/instances/{id}/credentials`,
    summary: 'List the credentials of an instance, without their passwords',
    status: 200,
    params: Ref,
    query: ListCredentialsQuery,
    answer: listOf(Credential),
  },
  putCredential: {
    method: 'PUT',
    path: `${V}/instances/{id}/credentials`,
    summary: 'Write a credential of an instance down, in place of the one of that type and user name',
    status: 200,
    params: Ref,
    body: PutCredential,
    answer: Credential,
  },
  revealCredential: {
    method: 'POST',
    path: `${V}/instances/{id}/credentials/reveal`,
    summary: 'Tell a password; who asks is on record',
    status: 200,
    params: Ref,
    body: RevealCredential,
    answer: CredentialSecret,
  },
} as const satisfies Record<string, Endpoint>
