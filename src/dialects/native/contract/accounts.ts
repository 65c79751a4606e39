import { z } from 'zod'
import { type Endpoint, listOf, Name, PageQuery, Ref, Timestamp, V } from './common.ts'

const Email = z.email().max(254)

export const Account = z
  .object({
    id: z.string(),
    uuid: z.uuid(),
    number: z.int(),
    email: z.string(),
    name: z.string(),
    isOperator: z.boolean(),
    creditMinor: z.int().nullable().describe('null = unlimited'),
    suspendedReason: z.string().nullable(),
    createdAt: Timestamp,
  })
  .meta({ id: 'Account' })
export type Account = z.infer<typeof Account>

const CreditMinor = z.int().min(0).nullable().describe('in minor units of the currency of the plans; null = unlimited')

export const CreateAccount = z
  .strictObject({
    email: Email,
    name: Name.optional().describe('default: the e-mail'),
    isOperator: z.boolean().default(false),
    creditMinor: CreditMinor.default(null),
  })
  .meta({ id: 'CreateAccount' })
export type CreateAccount = z.input<typeof CreateAccount>

export const SetCredit = z.strictObject({ creditMinor: CreditMinor }).meta({ id: 'SetCredit' })

export const Credit = z
  .object({
    creditMinor: CreditMinor,
    committedMinor: z.int().describe('what the instances of the account cost a month'),
  })
  .meta({ id: 'Credit', description: 'A new instance is refused when its price a month is more than what is left.' })
export type Credit = z.infer<typeof Credit>

/** The fields of `credentials.json`. */
export const Credentials = z
  .object({
    email: z.string(),
    apiKey: z.string(),
    consolePassword: z.string(),
    s3AccessKeyId: z.string(),
    s3SecretAccessKey: z.string(),
    apiUrl: z.string(),
    s3Url: z.string(),
    dnsAddress: z.string(),
  })
  .meta({ id: 'Credentials', description: 'Shown once.' })
export type Credentials = z.infer<typeof Credentials>

export const accountsEndpoints = {
  listAccounts: {
    method: 'GET',
    path: `${V}/accounts`,
    summary: 'List accounts',
    status: 200,
    query: PageQuery,
    answer: listOf(Account),
  },
  createAccount: {
    method: 'POST',
    path: `${V}/accounts`,
    summary: 'Create an account with its credentials',
    status: 201,
    body: CreateAccount,
    answer: Credentials,
  },
  getAccount: {
    method: 'GET',
    path: `${V}/account`,
    summary: "Get the caller's account",
    status: 200,
    answer: Account,
  },
  getCredit: {
    method: 'GET',
    path: `${V}/account/credit`,
    summary: "Get the caller's credit and what is committed of it",
    status: 200,
    answer: Credit,
  },
  getCreditOf: {
    method: 'GET',
    path: `${V}/accounts/{id}/credit`,
    summary: 'Get the credit of an account',
    status: 200,
    params: Ref,
    answer: Credit,
  },
  setCredit: {
    method: 'PUT',
    path: `${V}/accounts/{id}/credit`,
    summary: 'Set the credit of an account',
    status: 200,
    params: Ref,
    body: SetCredit,
    answer: Credit,
  },
} as const satisfies Record<string, Endpoint>
