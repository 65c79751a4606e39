/** Leaseweb's operations on credentials: what the owner is shown, not what the guest obeys. */
import { z } from 'zod'
import { CREDENTIAL_PASSWORD_MAX, CREDENTIAL_USERNAME_MAX, type CredentialType } from '../../model/credential.ts'
import * as credentials from '../../services/credentials.ts'
import { malformed } from '../http/errors.ts'
import { Answer, route } from '../http/route.ts'
import { Metadata, metadata, Page, pagingOf } from './paging.ts'
import { names, noun, orNothing, SERVER, ServerId, ServerPath } from './path.ts'

const WORDS = ['OPERATING_SYSTEM', 'CONTROL_PANEL'] as const
type Word = (typeof WORDS)[number]
const TYPE: Record<Word, CredentialType> = { OPERATING_SYSTEM: 'operating_system', CONTROL_PANEL: 'control_panel' }
const WORD: Record<CredentialType, Word> = { operating_system: 'OPERATING_SYSTEM', control_panel: 'CONTROL_PANEL' }

/** In a path: a word that is none is wrong input here, not something that does not exist. */
function typeOf(input: string): CredentialType {
  const word = WORDS.find((one) => one === input)
  if (word) return TYPE[word]
  const message = `must be one of ${WORDS.join(', ')}`
  throw malformed([{ where: 'path', path: ['credentialType'], code: 'invalid_value', message, input }])
}

const CREDENTIALS = `${SERVER}/credentials`
const TypePath = z.object({ virtualServerId: ServerId, credentialType: z.string().describe(WORDS.join(' or ')) })
const Credential = z.object({ type: z.enum(WORDS), username: z.string() }).meta({ id: 'Credential' })
const Secret = Credential.extend({ password: z.string() }).meta({ id: 'CredentialWithPassword' })

const UpdateCredential = z
  .object({
    username: z
      .string()
      .min(1)
      .max(CREDENTIAL_USERNAME_MAX)
      .regex(/^[^\p{Cc}]+$/u, 'must not hold control characters'),
    password: z.string().min(1).max(CREDENTIAL_PASSWORD_MAX),
    type: z.enum(WORDS),
  })
  .meta({ id: 'UpdateCredential' })

export const updateCredentials = route({
  method: 'PUT',
  path: CREDENTIALS,
  summary: 'Update the credentials that are shown; nothing changes in the machine',
  scope: 'instances:write',
  noun,
  status: 204,
  params: ServerPath,
  names,
  body: orNothing(UpdateCredential),
  async run(ctx, { params, body }) {
    await credentials.put(ctx, params.virtualServerId, { ...body, type: TYPE[body.type] })
    return new Answer(undefined)
  },
})

export const listCredentials = route({
  method: 'GET',
  path: `${CREDENTIALS}/{credentialType}`,
  summary: 'List credentials, without their passwords',
  scope: 'instances:read',
  noun,
  status: 200,
  params: TypePath,
  names,
  query: Page,
  answer: z.object({ credentials: z.array(Credential), _metadata: Metadata }),
  async run(ctx, { params, query }) {
    const page = pagingOf(query)
    const type = typeOf(params.credentialType)
    const { items, total } = await credentials.list(ctx, params.virtualServerId, { type, ...page })
    return {
      credentials: items.map(({ type, username }) => ({ type: WORD[type], username })),
      _metadata: metadata(total, page),
    }
  },
})

/** A key that only reads is not told. */
export const getCredential = route({
  method: 'GET',
  path: `${CREDENTIALS}/{credentialType}/{username}`,
  summary: 'Inspect user credentials',
  scope: 'instances:write',
  noun,
  status: 200,
  isSecret: true,
  refuses: ['invalid'], // the type
  params: TypePath.extend({ username: z.string() }),
  names,
  answer: Secret,
  async run(ctx, { params }) {
    const wanted = { type: typeOf(params.credentialType), username: params.username }
    const { type, username, password } = await credentials.reveal(ctx, params.virtualServerId, wanted)
    return { type: WORD[type], username, password }
  },
})
