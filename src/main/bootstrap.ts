/**
 * Brings an empty or an older database to where the processes can start: schema, catalogue, address blocks, the owner
 * and `credentials.json`. Everything is safe to repeat, and a kill in the middle is continued by the next start.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { overlaps } from '../lib/cidr.ts'
import { writeFileAtomically } from '../lib/files.ts'
import { unseal } from '../lib/secrets.ts'
import type { Catalog } from '../model/catalog.ts'
import { CloudError } from '../model/errors.ts'
import type { AccountId } from '../model/ids.ts'
import * as accountService from '../services/accounts.ts'
import * as accessKeys from '../store/access-keys.ts'
import * as addresses from '../store/addresses.ts'
import * as catalog from '../store/catalog.ts'
import { atomically, type Db } from '../store/db.ts'
import * as images from '../store/images.ts'
import { migrate } from '../store/migrate.ts'
import * as settings from '../store/settings.ts'
import { readCatalog } from './catalog-file.ts'
import type { Config } from './config.ts'
import type { AppContext } from './context.ts'
import { masterKeyFile } from './keys.ts'
import { readRoutes } from './routes.ts'

export interface BootstrapResult {
  migrated: string[]
  /** This start made the owner account. */
  isFirst: boolean
  credentials: accountService.Credentials
}

export async function bootstrap({ config, db, paths, settings: service }: AppContext): Promise<BootstrapResult> {
  const migrated = await migrate(db)
  await refuseOtherCompute(db, config)
  await refuseOtherMasterKey(db, service.masterKey, masterKeyFile(paths))
  const file = await readCatalog(config)
  const pools = file.pools ?? (await ownPools(db, config))
  await atomically(db, async (tx) => {
    await catalog.sync(tx, file)
    if (config.compute === 'simulator') await images.makeAllAvailable(tx)
    await addresses.syncPools(tx, pools.map(asPool))
  })
  const { isFirst, credentials } = await ensureOwner(db, service, paths.credentials)
  return { migrated, isFirst, credentials }
}

const asPool = ({ family, cidr, region }: NonNullable<Catalog['pools']>[number]): addresses.NewPool => ({
  family,
  cidr,
  regionId: region ?? null,
})

async function refuseOtherCompute(db: Db, config: Config): Promise<void> {
  const used = await settings.read(db, 'compute')
  if (used !== undefined && used !== config.compute) {
    throw new CloudError(
      'conflict',
      `this HAVN_HOME was made with HAVN_COMPUTE=${used}; start it with that, or choose another HAVN_HOME for ${config.compute}`,
    )
  }
  if (used === undefined) await settings.write(db, 'compute', config.compute)
}

/** With another key all would seem well, and no backup could be restored. */
async function refuseOtherMasterKey(db: Db, masterKey: Buffer, file: string): Promise<void> {
  const check = createHmac('sha256', masterKey).update('havn master key check v1').digest('hex')
  const used = await settings.read(db, 'masterKey')
  const isOurs = used ? used.check === check : opens(masterKey, await accessKeys.anySealedSecret(db))
  if (!isOurs) {
    throw new CloudError(
      'conflict',
      `${file} is not the key that the secrets in this database are sealed with: put the right one back`,
    )
  }
  if (!used) await settings.write(db, 'masterKey', { check })
}

function opens(masterKey: Buffer, sealed: Buffer | null): boolean {
  if (!sealed) return true
  try {
    unseal(masterKey, sealed)
    return true
  } catch {
    return false
  }
}

/** The benchmark range (RFC 2544) and the documentation prefix (RFC 3849) route nowhere, which suits a simulation. */
const SIMULATED_POOLS = [
  { family: 4 as const, cidr: '198.18.0.0/15' },
  { family: 6 as const, cidr: '2001:db8::/64' },
]

/** Private blocks that nothing on this machine uses, chosen once: instances keep their addresses. */
async function ownPools(db: Db, config: Config): Promise<settings.Settings['pools']> {
  if (config.compute === 'simulator') return SIMULATED_POOLS
  const chosen = await settings.read(db, 'pools')
  if (chosen) return chosen
  const pools = [
    { family: 4 as const, cidr: await freeIpv4Block(config.prefix) },
    // A random unique local prefix (RFC 4193) collides with nobody.
    {
      family: 6 as const,
      cidr: `fd${randomBytes(5)
        .toString('hex')
        .replace(/^(..)(....)(....)$/, '$1:$2:$3')}::/64`,
    },
  ]
  await settings.write(db, 'pools', pools)
  return pools
}

/** Begins at a place that follows from the home, so that two Havns whose machines are off seldom meet. */
async function freeIpv4Block(prefix: string): Promise<string> {
  const taken = [
    ...(await readRoutes()),
    ...Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).filter(({ family }) => family === 'IPv4').map(({ cidr, address }) => cidr ?? `${address}/32`),
    ),
  ]
  const first = Number.parseInt(prefix, 16)
  const candidates = Array.from({ length: 4096 }, (_, index) => {
    const block = (first + index) % 4096
    return `10.${block >> 4}.${(block & 15) << 4}.0/20`
  })
  const free = candidates.find((block) => !taken.some((other) => overlaps(block, other)))
  if (!free)
    throw new CloudError('no_capacity', 'no private IPv4 block is free on this machine; name pools in HAVN_CATALOG')
  return free
}

const OWNER_EMAIL = 'owner@havn.local'

/**
 * The keys are shown only when they are made, so the file is written before the transaction that makes them commits: a
 * kill between the two leaves a file that the next start overwrites, never an owner whose key nobody knows.
 */
async function ensureOwner(
  db: Db,
  service: AppContext['settings'],
  file: string,
): Promise<{ isFirst: boolean; credentials: accountService.Credentials }> {
  const owner = await settings.read(db, 'owner')
  const known = await readCredentials(file)
  if (owner && known) {
    const { apiUrl, s3Url, dnsAddress } = service
    const credentials = { ...known, apiUrl, s3Url, dnsAddress }
    if (JSON.stringify(credentials) !== JSON.stringify(known)) await writeCredentials(file, credentials)
    return { isFirst: false, credentials }
  }
  if (owner) {
    throw new CloudError(
      'conflict',
      `${file} is gone, and with it the owner's keys: put it back from a copy, or start with an empty HAVN_HOME`,
    )
  }
  return atomically(db, async (tx) => {
    const { accountId, credentials } = await accountService.createWithCredentials(tx, service, {
      email: OWNER_EMAIL,
      name: 'Owner',
      isOperator: true,
    })
    await settings.write(tx, 'owner', { accountId: accountId satisfies AccountId })
    await writeCredentials(file, credentials)
    return { isFirst: true, credentials }
  })
}

async function readCredentials(file: string): Promise<accountService.Credentials | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as accountService.Credentials
  } catch {
    return null
  }
}

const writeCredentials = (file: string, credentials: accountService.Credentials): Promise<void> =>
  writeFileAtomically(file, `${JSON.stringify(credentials, null, 2)}\n`)
