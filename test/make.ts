/** Rows for store tests, made, not loaded. */
import { Catalog } from '../src/model/catalog.ts'
import { type AccountId, type InstanceId, newIdentity } from '../src/model/ids.ts'
import * as accounts from '../src/store/accounts.ts'
import * as catalog from '../src/store/catalog.ts'
import type { Db } from '../src/store/db.ts'
import * as images from '../src/store/images.ts'
import * as instances from '../src/store/instances.ts'

/** What a driver says of an instance of which nothing is measured. */
export const UNMEASURED = {
  run: null,
  cpuPercent: null,
  memoryUsedBytes: null,
  memoryTotalBytes: null,
  diskUsedBytes: null,
  diskTotalBytes: null,
  networkInBytes: null,
  networkOutBytes: null,
  diskReadBytes: null,
  diskWriteBytes: null,
  diskReadOps: null,
  diskWriteOps: null,
}

export const CATALOG: Catalog = Catalog.parse({
  regions: ['here', 'there'].map((id) => ({ id, name: id, country: 'NO', city: id })),
  plans: [
    {
      id: 'small',
      number: 1,
      name: 'Small',
      vcpus: 1,
      memoryMib: 1024,
      diskGib: 10,
      trafficTb: 1,
      priceMonthlyMinor: 100,
      currency: 'EUR',
    },
  ],
  images: [{ id: 'micro', number: 1, name: 'Micro', family: 'micro', version: '1', builder: 'micro' }],
})

/** A catalogue, an account, and instances of it without strands. */
export async function make(db: Db): Promise<{ accountId: AccountId; instance(): Promise<InstanceId> }> {
  await catalog.sync(db, CATALOG)
  await images.makeAllAvailable(db)
  const { id: accountId } = await accounts.insert(db, {
    email: `${newIdentity('account').uuid}@example.net`,
    name: 'Somebody',
    isOperator: false,
    creditMinor: null,
    consolePasswordHash: '',
  })
  let count = 0
  return {
    accountId,
    async instance() {
      const identity = newIdentity('instance')
      count++
      await instances.insert(db, {
        ...identity,
        accountId,
        regionId: 'here',
        planId: 'small',
        imageId: 'micro',
        name: `vm-${count}`,
        hostname: `vm-${count}`,
        vcpus: 1,
        memoryMib: 1024,
        diskGib: 10,
        mac: `52:54:00:00:${(count >> 8).toString(16).padStart(2, '0')}:${(count & 255).toString(16).padStart(2, '0')}`,
        sshKeys: [],
        passwordHash: null,
      })
      return identity.id
    },
  }
}
