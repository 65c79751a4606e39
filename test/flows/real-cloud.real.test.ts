/**
 * One cloud with real machines, as a newcomer starts it: `./havn up --detach` and everything after it, to the last
 * `./havn down --instances`. The tests stand on each other in this order.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Image } from '../../src/dialects/native/contract/images.ts'
import type { Instance } from '../../src/dialects/native/contract/instances.ts'
import type { InstanceTraffic } from '../../src/dialects/native/contract/metrics.ts'
import { SOCKETS } from '../../src/drivers/compute/qemu/args.ts'
import { askAgent } from '../../src/drivers/compute/qemu/guest/agent.ts'
import { tableName, tapName } from '../../src/drivers/compute/qemu/network/network.ts'
import { filesOf, readRecord } from '../../src/drivers/compute/qemu/record.ts'
import { overlaps } from '../../src/lib/cidr.ts'
import { isAlive, type ProcessIdentity, signalProcess } from '../../src/lib/process-identity.ts'
import { buildContext } from '../../src/main/context.ts'
import type { InstanceId } from '../../src/model/ids.ts'
import type { Db } from '../../src/store/db.ts'
import * as settings from '../../src/store/settings.ts'
import { eventually } from '../eventually.ts'
import { execute, type Havn, newHavn, type Outcome, processesWith } from '../havn.ts'
import { logIn } from '../password-login.ts'

const isRoot = process.getuid!() === 0
const BOOT_MS = 180_000 // a boot under emulation on a busy machine
const BUILD_MS = 15 * 60_000
/** crypt(3) of nothing anybody knows. */
const HASH = `$6$saltsalt$${'y'.repeat(86)}`

/** A VPS of the WAYSCloud dialect, as far as it is looked at. */
interface Vps {
  id: string
  hostname: string
  display_name: string
  status: string
  power_state: string
}
type VpsStatus = Record<string, number | string | null>

describe('a cloud with real machines', () => {
  let havn: Havn
  let greeting: string

  before(async () => {
    havn = await newHavn({})
  })
  after(() => havn.close())

  const instance = (name: string) => havn.json<Instance>(`instance show ${name}`)
  /** A command in the guest, as root with Havn's own key. */
  const inside = async (name: string, ...command: string[]) => {
    const { code, out, err } = await havn.run(['ssh', name, '--', ...command])
    assert.equal(code, 0, `${command.join(' ')}: ${out}${err}`)
    return out.trim()
  }
  const until = (name: string, state: string, timeoutMs = BOOT_MS) =>
    eventually(`${name} is ${state}`, async () => (await instance(name)).state === state, timeoutMs)
  const qemuOf = async (id: string): Promise<ProcessIdentity> => {
    const process = (await readRecord(filesOf(havn.paths, id as InstanceId)))?.process
    assert.ok(process, `${id} has no process`)
    return process
  }
  const database = async <T>(act: (db: Db) => Promise<T>, of = havn): Promise<T> => {
    const context = await buildContext(of.config, 'up')
    try {
      return await act(context.db)
    } finally {
      await context.close()
    }
  }

  test('the first start ends with a machine that answers SSH', async () => {
    const { code, out, err } = await havn.run('up --detach')
    assert.equal(code, 0, out + err)
    greeting = out
    assert.equal((await instance('first')).state, 'running')
    assert.match(await inside('first', 'uname', '-a'), /^Linux first /)
    const { mode } = statSync(havn.paths.credentials)
    assert.equal(mode & 0o777, 0o600)
    const credentials = JSON.parse(readFileSync(havn.paths.credentials, 'utf8')) as Record<string, string>
    for (const field of ['apiUrl', 'apiKey', 'consolePassword', 's3AccessKeyId', 's3SecretAccessKey', 'email']) {
      assert.ok(credentials[field], `credentials.json has no ${field}`)
    }
  })

  test('the ssh line that was printed works in any shell, and IPv6 too', async () => {
    const line = /^.*\bssh +(ssh -i .*)$/m.exec(greeting)?.[1]
    assert.ok(line, greeting)
    // A newcomer is asked whether he trusts the host key; nobody is here to say yes.
    const trusting = 'ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR'
    const over = async (text: string) => {
      const { code, out, err } = await execute('sh', ['-c', `${text.replace(/^ssh/, trusting)} hostname`], process.env)
      assert.equal(code, 0, err)
      return out.trim()
    }
    assert.equal(await over(line), 'first')
    const { ipv4, ipv6 } = await instance('first')
    if (isRoot) assert.equal(await over(line.replace(ipv4!, ipv6!)), 'first')
  })

  describe('the operations of the WAYSCloud dialect', () => {
    let vps: Vps
    const one = async () => (await havn.curl<Vps>('GET', `/v1/vps/${vps.id}`)).body
    const becomes = (status: string) =>
      eventually(`it is ${status}`, async () => (await one()).status === status, BOOT_MS)
    const power = async (action: 'start' | 'stop' | 'reboot') => {
      const { status, body } = await havn.curl('POST', `/v1/vps/${vps.id}/${action}`)
      assert.deepEqual([status, body.success, body.action], [200, true, action], JSON.stringify(body))
    }
    const bootId = () => inside('shop', 'cat', '/proc/sys/kernel/random/boot_id')

    test('create', async () => {
      const templates = (await havn.curl<{ id: string }[]>('GET', '/v1/vps/os-templates')).body
      assert.ok(templates.some(({ id }) => id === 'micro'))
      const { status, body } = await havn.curl<Vps>('POST', '/v1/vps', {
        hostname: 'shop.example.com',
        display_name: 'shop',
        plan_code: 'vps-2gb-1cpu',
        region: 'oslo',
        os_template: 'micro',
        ssh_keys: [],
      })
      assert.equal(status, 201, JSON.stringify(body))
      vps = body
      assert.equal(vps.status, 'provisioning')
      await becomes('running')
      assert.equal(await inside('shop', 'hostname'), 'shop.example.com')
      const list = (await havn.curl<{ instances: Vps[] }>('GET', '/v1/vps?status=running&region=norway')).body
      assert.deepEqual(list.instances.map((it) => it.display_name).sort(), ['first', 'shop'])
    })

    test('status, all of it measured', async () => {
      const measured = await eventually('everything is measured', async () => {
        const { body } = await havn.curl<VpsStatus>('GET', `/v1/vps/${vps.id}/status`)
        return Object.values(body).every((value) => value !== null) && body
      })
      assert.ok((measured.uptime_seconds as number) > 0)
      assert.ok((measured.memory_used_mb as number) > 20 && measured.memory_total_mb === 2048)
      assert.ok((measured.disk_usage_percent as number) > 0 && measured.disk_total_gb === 40)
      if (isRoot) assert.ok((measured.network_in_bytes as number) > 1_000)
    })

    test('stop, start, reboot', async () => {
      await power('stop')
      await becomes('stopped')
      assert.equal((await havn.curl('POST', `/v1/vps/${vps.id}/stop`)).status, 409)
      assert.equal((await one()).power_state, 'off')
      await power('start')
      await becomes('running')
      const before = await bootId()
      await power('reboot')
      await becomes('running')
      assert.notEqual(await bootId(), before)
    })

    test('rename and delete', async () => {
      const renamed = await havn.curl<Vps>('PATCH', `/v1/vps/${vps.id}`, { display_name: 'Shop, closing' })
      assert.equal(renamed.body.display_name, 'Shop, closing')
      const { id } = await havn.json<Instance>(`instance show ${vps.id}`)
      const qemu = await qemuOf(id)
      const { status, body } = await havn.curl('DELETE', `/v1/vps/${vps.id}`)
      assert.deepEqual([status, body.ok], [200, true])
      assert.equal((await havn.curl('GET', `/v1/vps/${vps.id}`)).status, 404)
      await eventually('its process ends', () => !isAlive(qemu))
    })
  })

  /** What `first` has sent so far, and a way to send what no sweep has seen yet. */
  const sent = async () => {
    const { body } = await havn.curl<InstanceTraffic>('GET', '/havn/v1/instances/first/traffic?granularity=none')
    return body.values[0]!.outBytes ?? 0
  }
  const SENT = 300_000
  const send = () => inside('first', 'sh', '-c', `head -c ${SENT} /dev/zero | tr '\\0' x`)

  describe('one machine through every dialect', () => {
    let machine: Instance
    let password: string
    const server = (rest = '') => `/cloud/v2/virtualServers/${machine.number}${rest}`
    const everybody = async () => {
      const [vpsorg, wayscloud, leaseweb] = await Promise.all([
        havn.curl<{ status: string }>('GET', `/api/v1/servers/${machine.number}/`),
        havn.curl<Vps>('GET', `/v1/vps/${machine.uuid}`),
        havn.curl<{ state: string }>('GET', server()),
      ])
      return [vpsorg.body.status, wayscloud.body.status, leaseweb.body.state]
    }
    /** As Leaseweb tells it, of the machine that was made in VPS.org. */
    const revealed = async () =>
      (await havn.curl<{ password: string }>('GET', server('/credentials/OPERATING_SYSTEM/root'))).body.password
    const allSay = (...words: string[]) =>
      eventually(`they say ${words}`, async () => (await everybody()).join() === words.join(), BOOT_MS)
    const job = async (method: string, path: string, name: string, body?: object) => {
      const answer = await havn.curl(method, server(path), body)
      assert.deepEqual([answer.status, answer.body.name], [202, name], JSON.stringify(answer.body))
    }

    test('made in the first, power-cycled in the second', async () => {
      const order = { name: 'many', plan_id: 1, os_id: 1, location: 'us-west' }
      const made = await havn.curl<{ id: number; status: string }>('POST', '/api/v1/servers/', order)
      assert.deepEqual([made.status, made.body.status], [201, 'provisioning'], JSON.stringify(made.body))
      machine = await instance('many')
      assert.equal(machine.number, made.body.id)
      await allSay('active', 'running', 'RUNNING')
      assert.equal((await havn.curl('POST', `/v1/vps/${machine.uuid}/stop`)).status, 200)
      await allSay('stopped', 'stopped', 'STOPPED')
      assert.equal((await havn.curl('POST', `/v1/vps/${machine.uuid}/start`)).status, 200)
      await allSay('active', 'running', 'RUNNING')
    })

    test('taken back to a snapshot with its memory in the third', async () => {
      await inside('many', 'sh', '-c', 'echo then > /root/mark; sync')
      const bootId = await inside('many', 'cat', '/proc/sys/kernel/random/boot_id')
      await job('POST', '/snapshots', 'virtualServer.createVMSnapshot', { name: 'Before' })
      const snapshots = async () =>
        (await havn.curl<{ snapshots: { id: string; state: string }[] }>('GET', server('/snapshots'))).body.snapshots
      const isReady = async () => {
        const [one] = await snapshots()
        return one?.state === 'READY' && one
      }
      const { id } = await eventually('the snapshot is ready', isReady, BOOT_MS)
      await inside('many', 'sh', '-c', 'echo now > /root/mark; sync')
      await job('POST', `/snapshots/${id}/restore`, 'virtualServer.restoreVMSnapshot')
      await eventually('the snapshot is ready again', isReady, BOOT_MS)
      assert.equal(await inside('many', 'cat', '/root/mark'), 'then')
      assert.equal(await inside('many', 'cat', '/proc/sys/kernel/random/boot_id'), bootId, 'it did not boot')
      await allSay('active', 'running', 'RUNNING')
    })

    test('its root password, which was made with it, opens it', async () => {
      password = await revealed()
      const it = await instance('many')
      await eventually('root is let in', async () => (await logIn(it, password).catch(() => null)) === 'root', BOOT_MS)
      assert.equal(await logIn(it, 'another'), null)
    })

    test('reinstalled there: another disk and root password, the same addresses', async () => {
      const before = await instance('many')
      await job('POST', '/reinstall', 'virtualServers.reinstall', { operatingSystemId: 'MICRO_1_64' })
      await until('many', 'rebuilding')
      await eventually('its new system boots', async () => (await everybody())[2] === 'STARTING', BOOT_MS)
      await allSay('active', 'running', 'RUNNING')
      const after = await instance('many')
      const same = ({ uuid, number, ipv4, ipv6, mac, hostname }: Instance) => [uuid, number, ipv4, ipv6, mac, hostname]
      assert.deepEqual(same(after), same(before))
      assert.equal(await inside('many', 'sh', '-c', 'ls /root/mark 2>/dev/null || echo gone'), 'gone')
      assert.equal(await logIn(after, await revealed()), 'root')
      assert.equal(await logIn(after, password), null, 'the old one opens nothing any more')
      assert.deepEqual((await havn.curl<{ snapshots: object[] }>('GET', server('/snapshots'))).body.snapshots, [])
    })

    test('deleted in the first', async () => {
      assert.equal((await havn.curl('DELETE', `/api/v1/servers/${machine.number}/`)).status, 204)
      for (const path of [`/v1/vps/${machine.uuid}`, `/api/v1/servers/${machine.number}/`, server()]) {
        assert.equal((await havn.curl('GET', path)).status, 404, path)
      }
    })
  })

  test('a guest that powers itself off stays off until it is started', async () => {
    const before = await sent()
    await send()
    await inside('first', 'sh', '-c', '(sleep 1; poweroff) >/dev/null 2>&1 </dev/null &')
    await until('first', 'stopped')
    if (isRoot) assert.ok((await sent()) >= before + SENT, 'its last bytes are counted')
    const started = await havn.run('instance start first --wait')
    assert.equal(started.code, 0, started.err)
    assert.equal((await instance('first')).state, 'running')
  })

  test('a QEMU that is killed is started again by itself', async () => {
    const { id } = await instance('first')
    const victim = await qemuOf(id)
    const before = await sent()
    await send()
    signalProcess(victim, 'SIGKILL')
    await eventually('another process runs it', async () => {
      const process = (await readRecord(filesOf(havn.paths, id as InstanceId)))?.process
      return process && process.pid !== victim.pid && isAlive(process)
    })
    if (isRoot) assert.ok((await sent()) >= before + SENT, 'the interface had counted them')
    await until('first', 'running')
    assert.equal(await inside('first', 'hostname'), 'first')
    const log = await havn.run('instance log first')
    assert.match(log.out, /micro: first boot of inst_/)
  })

  test('ten kills of the control plane during a create: it converges, and first does not notice', async () => {
    const first = await instance('first')
    const [qemu, uptime] = [
      await qemuOf(first.id),
      Number((await inside('first', 'cat', '/proc/uptime')).split(' ')[0]),
    ]
    const created = await havn.run('instance create target --image micro')
    assert.equal(created.code, 0, created.err)
    const story: string[] = []
    let lastKill = 0
    for (let round = 0; round < 10; round++) {
      const pause = randomInt(1_500)
      const name = (['worker', 'havn', 'postgres', 'api'] as const)[round % 4]!
      story.push(`${name} after ${pause} ms`)
      await sleep(pause) // a random moment is the matter here
      const victim = await eventually(`${name} runs; ${story}`, () => havn.process(name))
      signalProcess(victim, 'SIGKILL')
      lastKill = performance.now()
      if (name !== 'havn') continue
      const { code, out, err } = await havn.run('up --detach')
      assert.equal(code, 0, `${story}\n${out}${err}`)
    }
    await eventually('the API is ready', () => isReady(havn), 60_000)
    const readyMs = performance.now() - lastKill
    await eventually(`target runs; ${story}`, async () => (await instance('target')).state === 'running', BOOT_MS)
    console.log(
      `      ready ${(readyMs / 1000).toFixed(1)} s, running ${((performance.now() - lastKill) / 1000).toFixed(1)} s after the last of: ${story.join(', ')}`,
    )
    assert.equal(await inside('target', 'hostname'), 'target')
    const target = await instance('target')
    assert.equal(qemusOf(target.uuid).length, 1)
    assert.deepEqual(await qemuOf(first.id), qemu)
    assert.ok(isAlive(qemu))
    assert.ok(Number((await inside('first', 'cat', '/proc/uptime')).split(' ')[0]) > uptime)
    const { items } = await havn.json<{ items: { kind: string }[] }>('incident list')
    assert.deepEqual(items, [])
  })

  test('of a machine that is purged nothing is left', async () => {
    const target = await instance('target')
    const number = (await readRecord(filesOf(havn.paths, target.id as InstanceId)))!.number
    const tap = tapName(havn.config.prefix, number)
    if (isRoot) assert.ok(existsSync(`/sys/class/net/${tap}`))
    const { code, err } = await havn.run('instance delete target --purge --wait')
    assert.equal(code, 0, err)
    const driver = havn.driver()
    await eventually('the driver knows nothing of it any more', async () =>
      (await driver.resources()).every(({ instanceId }) => instanceId !== target.id && instanceId !== null),
    )
    assert.deepEqual(qemusOf(target.uuid), [])
    assert.ok(!existsSync(filesOf(havn.paths, target.id as InstanceId).folder))
    assert.ok(!existsSync(filesOf(havn.paths, target.id as InstanceId).run))
    if (isRoot) {
      const host = [
        ['ip', '-o', 'link'],
        ['ip', 'route'],
        ['ip', '-6', 'route'],
        ['ip', 'neighbour'],
        ['nft', 'list', 'ruleset'],
      ]
      const seen = host.map(([program, ...args]) => execFileSync(program!, args).toString()).join('\n')
      for (const trace of [tap, target.ipv4!, target.ipv6!]) {
        assert.doesNotMatch(seen, new RegExp(`${RegExp.escape(trace)}(?![0-9a-f])`), `the host still knows ${trace}`)
      }
      assert.equal(execFileSync('find', ['/sys/fs/cgroup', '-name', target.id]).toString(), '')
    }
    await database(async (db) => {
      const held = await db
        .selectFrom('ip_address')
        .select('address')
        .where('instance_id', '=', target.id as InstanceId)
        .execute()
      assert.deepEqual(held, [])
    })
  })

  test('a second Havn on the same machine disturbs nobody', async () => {
    const other = await newHavn({})
    try {
      const { code, out, err } = await other.run('up --detach --empty')
      assert.equal(code, 0, out + err)
      const pools = await Promise.all([havn, other].map((one) => database((db) => settings.read(db, 'pools'), one)))
      for (const mine of pools[0]!) {
        for (const theirs of pools[1]!) assert.ok(!overlaps(mine.cidr, theirs.cidr), `${mine.cidr}, ${theirs.cidr}`)
      }
      const image = await imageFile('micro')
      ok(await other.run(`image import ${image.file} --os micro --sha256 ${image.digest} --wait`))
      const id = (await other.json<{ instance: Instance }>('instance create first --image micro')).instance.id
      await eventually(
        'its machine runs',
        async () => (await other.driver().observe(id as InstanceId)).power === 'running',
      )
      // Each sees its own machines only, though one user owns them all.
      assert.ok(!(await havn.driver().resources()).some(({ instanceId }) => instanceId === id || instanceId === null))
      const mine = await instance('first')
      assert.ok(
        !(await other.driver().resources()).some(({ instanceId }) => instanceId === mine.id || instanceId === null),
      )
      ok(await other.run('instance delete first --purge --wait'))
      ok(await other.run('down --instances'))
      assert.deepEqual(tracesOf(other), [])
      assert.equal(await inside('first', 'hostname'), 'first')
    } finally {
      await other.close()
    }
  })

  const imageFile = async (id: string): Promise<{ file: string; digest: string }> => {
    const digest = await database(async (db) => {
      const row = await db.selectFrom('image').select('digest').where('id', '=', id).executeTakeFirstOrThrow()
      return row.digest
    })
    assert.ok(digest, `${id} is not installed`)
    return { file: join(havn.paths.images, `${digest}.qcow2`), digest }
  }
  const imageState = async (id: string) =>
    (await havn.json<{ items: Image[] }>('image list')).items.find((image) => image.id === id)?.state

  describe('debian-12', () => {
    let web: Instance

    test('was built behind all this', async () => {
      await eventually(
        'it is built',
        async () => {
          const state = await imageState('debian-12')
          assert.notEqual(state, 'failed', (await havn.run('image list')).out)
          return state === 'available'
        },
        BUILD_MS,
      )
    })

    test('boots to SSH with its own name, disk and password', async () => {
      const { status, body } = await havn.curl<{ instance: Instance; operation: { id: string } }>(
        'POST',
        '/havn/v1/instances',
        { name: 'web', imageId: 'debian-12', hostname: 'web.example.com', passwordHash: HASH, planId: 'vps-4gb-2cpu' },
      )
      assert.equal(status, 201, JSON.stringify(body))
      await until('web', 'running', 2 * BOOT_MS)
      web = await instance('web')
      assert.equal(await inside('web', 'hostname', '-f'), 'web.example.com')
      assert.match(await inside('web', 'cloud-init', 'status', '--wait'), /status: done/)
      const gib = Number((await inside('web', 'df', '--output=size', '-B1G', '/')).split('\n')[1])
      assert.ok(gib > 0.9 * web.diskGib, `the root file system has ${gib} GiB of ${web.diskGib}`)
    })

    test('has the password hash where only root can read it, and its seed has it no more', async () => {
      assert.match(await inside('web', 'grep', '^root:', '/etc/shadow'), new RegExp(RegExp.escape(HASH)))
      assert.match(await inside('web', 'sshd', '-T'), /^passwordauthentication yes$/m)
      // cloud-init keeps what it was given in files of root alone.
      const files = `grep -rlF '${HASH}' /etc /var/lib/cloud /var/log /run /root`
      const open = await inside('web', 'sh', '-c', `find $(${files} 2>/dev/null) -perm /o=rwx`)
      assert.equal(open, '')
      const seed = filesOf(havn.paths, web.id as InstanceId).seed(1)
      assert.ok(!readFileSync(seed).includes(HASH))
      const lying = readdirSync(filesOf(havn.paths, web.id as InstanceId).folder)
      assert.deepEqual(
        lying.filter((name) => name.startsWith('seed')),
        ['seed-g1.img'],
      )
    })

    test('its guest agent answers', async () => {
      const socket = join(filesOf(havn.paths, web.id as InstanceId).run, SOCKETS.agent)
      const answer = await eventually('the agent says what it is', () =>
        askAgent(socket, 'guest-get-osinfo').catch(() => null),
      )
      assert.match(JSON.stringify(answer), /Debian GNU\/Linux 12/)
    })

    test('is taken back as a file from elsewhere', async () => {
      const { file, digest } = await imageFile('debian-12')
      ok(await havn.run(`image import ${file} --os ubuntu-24.04 --sha256 ${digest} --wait`))
      assert.equal(await imageState('ubuntu-24.04'), 'available')
    })
  })

  test('down leaves the machines running, and the next up adopts them', async () => {
    const qemus = await Promise.all(['first', 'web'].map(async (name) => qemuOf((await instance(name)).id)))
    ok(await havn.run('down'))
    assert.ok(qemus.every(isAlive))
    const began = performance.now()
    ok(await havn.run('up --detach'))
    const seconds = (performance.now() - began) / 1000
    console.log(`      up again after ${seconds.toFixed(1)} s`)
    assert.deepEqual(await Promise.all(['first', 'web'].map(async (name) => qemuOf((await instance(name)).id))), qemus)
    assert.equal(await inside('first', 'hostname'), 'first')
    await eventually('first is measured again', async () => {
      const { body } = await havn.curl<VpsStatus>('GET', `/v1/vps/${(await instance('first')).uuid}/status`)
      return body.status === 'running' && body.cpu_usage_percent !== null
    })
  })

  test('down --instances stops the machines, and nothing of this home is left on the host', async () => {
    ok(await havn.run('down --instances'))
    assert.deepEqual(tracesOf(havn), [])
  })
})

function ok({ code, out, err }: Outcome): void {
  assert.equal(code, 0, out + err)
}

const isReady = ({ env }: Havn): Promise<boolean> =>
  fetch(`http://${env.HAVN_LISTEN}/readyz`).then(
    (response) => response.ok,
    () => false,
  )

/** What the host itself says, whatever the driver thinks. */
const qemusOf = (uuid: string): number[] => processesWith(`-uuid\0${uuid}\0`)

/** Processes, interfaces, tables and control groups that carry the name of this home. */
function tracesOf({ paths, config: { prefix } }: Havn): string[] {
  const taps = readdirSync('/sys/class/net').filter((name) => name.startsWith(`hv${prefix}`))
  const groups = execFileSync('find', ['/sys/fs/cgroup', '-name', `havn-${prefix}`])
  const tables = isRoot ? execFileSync('nft', ['list', 'tables']).toString() : ''
  return [
    ...processesWith(`${paths.home}/`).map((pid) => `process ${pid}`),
    ...taps,
    ...groups.toString().split('\n').filter(Boolean),
    ...tables.split('\n').filter((line) => line.endsWith(` ${tableName(prefix)}`)),
  ]
}
