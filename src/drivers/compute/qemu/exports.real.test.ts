import { readDisk } from '../../../../test/disk-reading.ts'
import { eventually } from '../../../../test/eventually.ts'
import { openMachines } from '../../../../test/machines.ts'
import type { InstanceId } from '../../../model/ids.ts'
import type { ComputeDriver } from '../compute.ts'
import { exportContract } from '../contract-exports.ts'

async function killQemu(driver: ComputeDriver, id: InstanceId): Promise<void> {
  for (const one of await driver.resources()) {
    const pid = one.kind === 'process' && one.instanceId === id && /^pid (\d+)$/.exec(one.name)?.[1]
    if (pid) process.kill(Number(pid), 'SIGKILL')
  }
  await eventually('it has crashed', async () => (await driver.observe(id)).power === 'crashed')
}

exportContract(
  'qemu',
  async () => {
    const machines = await openMachines()
    let driver = machines.create()
    let count = 0
    return {
      driver,
      spec: () => machines.spec(),
      async write(spec, text) {
        await machines.ssh(spec, `echo ${text} > /root/text-${++count} && sync`)
      },
      read: readDisk,
      kill: (id) => killQemu(driver, id),
      async reopen() {
        await driver.close() // what the kernel does to the sockets of a dead process
        driver = machines.create()
        return driver
      },
      async close() {
        await driver.close()
        await machines.close()
      },
    }
  },
  { bootMs: 120_000 },
)
