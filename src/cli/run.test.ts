import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { test } from 'node:test'
import type { Plan } from '../dialects/native/contract/catalog.ts'
import type { Image } from '../dialects/native/contract/images.ts'
import type { Instance } from '../dialects/native/contract/instances.ts'
import type { Operation } from '../dialects/native/contract/operations.ts'
import type { Cli } from './command.ts'
import { CliError } from './exit.ts'
import { COMMANDS, helpOf, runCommand } from './run.ts'

const NOW = new Date('2026-05-01T12:00:00Z')
const plan: Plan = {
  id: 'vps-2gb-1cpu',
  number: 1,
  name: '2 GB RAM, 1 vCPU',
  vcpus: 1,
  memoryMib: 2048,
  diskGib: 40,
  trafficTb: 2,
  priceMonthlyMinor: 9900,
  currency: 'NOK',
}
const instance: Instance = {
  id: 'inst_1',
  uuid: '01890a5d-ac96-774b-bcce-b302099a8057',
  number: 10001,
  accountId: 'acct_1',
  name: 'web',
  hostname: 'web',
  state: 'running',
  stateReason: null,
  suspendedReason: null,
  automaticBackups: false,
  reference: null,
  canSnapshot: true,
  regionId: 'oslo',
  plan,
  image: { id: 'micro', number: 1, name: 'Micro Linux', family: 'micro', version: '1' },
  vcpus: 1,
  memoryMib: 2048,
  diskGib: 40,
  ipv4: '10.91.0.16',
  ipv6: 'fd00::10',
  mac: '52:54:00:00:00:01',
  hostId: 'host_1',
  sshPort: null,
  createdAt: '2026-05-01T09:00:00.000Z',
  provisionedAt: '2026-05-01T09:00:10.000Z',
  startedAt: '2026-05-01T09:00:03.000Z',
  updatedAt: '2026-05-01T09:00:10.000Z',
}
const operation: Operation = {
  id: 'op_1',
  uuid: '01890a5d-ac96-774b-bcce-b302099a8058',
  number: 10001,
  accountId: 'acct_1',
  kind: 'instance.create',
  resourceId: 'inst_1',
  state: 'pending',
  progressPercent: null,
  message: null,
  errorCode: null,
  requestId: null,
  createdAt: '2026-05-01T09:00:00.000Z',
  startedAt: null,
  finishedAt: null,
}
const image: Image = {
  id: 'micro',
  number: 1,
  name: 'Micro Linux',
  family: 'micro',
  version: '1',
  isWindows: false,
  minMemoryMib: 128,
  minDiskGib: 1,
  builder: 'micro',
  state: 'available',
  stateReason: null,
  digest: 'ab',
  virtualBytes: 1024 ** 3,
  fileBytes: 5_452_595,
  updatedAt: '2026-05-01T11:59:00.000Z',
}

type Answers = Record<string, (input: { id?: string; query?: object; body?: object }) => unknown>

/** Runs a command line against an API that answers so. */
async function run(line: string, answers: Answers = {}, input = '') {
  const out: string[] = []
  const notes: string[] = []
  const calls: [string, object][] = []
  const cli: Cli = {
    client: {
      url: 'http://127.0.0.1:8080',
      call: async (name, input = {}) => {
        calls.push([name, input])
        const answer = answers[name]
        if (!answer) throw new CliError('unreachable', `nobody answers ${name}`)
        return answer(input as { id?: string }) as never
      },
    },
    print: (text) => void out.push(text),
    note: (text) => void notes.push(text),
    input: Readable.from([input]),
    output: new PassThrough(),
    isTerminal: false,
    now: () => NOW,
    sshKeyFile: '/home/keys/ssh_ed25519',
    processes: () => [],
  }
  const exit = await runCommand(line.split(' ').filter(Boolean), cli)
  return { exit, out: out.join('\n'), notes, calls }
}

test('instance list is a table', async () => {
  const waiting = { ...instance, name: 'a-long-name', state: 'provisioning', ipv4: null, id: 'inst_2' }
  const { out, exit } = await run('instance list', { listInstances: () => ({ items: [instance, waiting], total: 2 }) })
  assert.equal(exit, 0)
  assert.equal(
    out,
    [
      'NAME         STATE         IMAGE  PLAN          REGION  IPV4        SSH PORT  AGE  ID',
      'web          running       micro  vps-2gb-1cpu  oslo    10.91.0.16  -         3 h  inst_1',
      'a-long-name  provisioning  micro  vps-2gb-1cpu  oslo    -           -         3 h  inst_2',
    ].join('\n'),
  )
})

test('instance show says how it is reached', async () => {
  const routed = await run('instance show web', { getInstance: () => instance })
  assert.match(routed.out, /^reach +its addresses answer$/m)
  assert.match(routed.out, /^ssh +ssh -i \/home\/keys\/ssh_ed25519 root@10\.91\.0\.16$/m)
  const forwarded = await run('instance show web', { getInstance: () => ({ ...instance, sshPort: 40_022 }) })
  assert.match(forwarded.out, /^reach +only SSH, on 127\.0\.0\.1:40022 \(user-mode network\)$/m)
  assert.match(forwarded.out, /^ssh +ssh -i \/home\/keys\/ssh_ed25519 -p 40022 root@127\.0\.0\.1$/m)
})

test('instance create sends what was asked for and nothing else', async () => {
  const { calls, out } = await run('instance create web --image micro --plan p', {
    createInstance: () => ({ instance: { ...instance, state: 'provisioning' }, operation }),
  })
  assert.deepEqual(calls, [['createInstance', { body: { name: 'web', imageId: 'micro', sshKeys: [], planId: 'p' } }]])
  assert.equal(out, 'web (inst_1) is provisioning; operation op_1')
})

test('instance rebuild and credentials', async () => {
  const rebuilt = await run('instance rebuild web --image micro --generate-password', {
    rebuildInstance: () => ({ instance: { ...instance, state: 'rebuilding' }, operation }),
  })
  assert.deepEqual(rebuilt.calls, [
    ['rebuildInstance', { id: 'web', body: { imageId: 'micro', generatePassword: true } }],
  ])
  assert.equal(rebuilt.out, 'web (inst_1) is rebuilding; operation op_1')
  await assert.rejects(run('instance rebuild web'), /needs --image/)

  const shown = await run('credential show web', { revealCredential: () => ({ password: 'open sesame' }) })
  assert.deepEqual(shown.calls, [
    ['revealCredential', { id: 'web', body: { type: 'operating_system', username: 'root' } }],
  ])
  assert.equal(shown.out, 'open sesame')
  const answer = { putCredential: () => ({ type: 'control_panel', username: 'admin', createdAt: '', updatedAt: '' }) }
  const set = await run('credential set web admin --type control_panel', answer, 'pass word\n')
  const body = { type: 'control_panel', username: 'admin', password: 'pass word' }
  assert.deepEqual(set.calls, [['putCredential', { id: 'web', body }]])
  await assert.rejects(run('credential set web admin --type root', answer, 'x'), /operating_system or control_panel/)
})

test('instance create and update send stored keys and the wish for backups', async () => {
  const created = await run('instance create web --image micro --ssh-key-id laptop --ssh-key-id 10001 --backups', {
    createInstance: () => ({ instance, operation }),
  })
  const wish = { name: 'web', imageId: 'micro', sshKeys: [], sshKeyIds: ['laptop', '10001'], automaticBackups: true }
  assert.deepEqual(created.calls, [['createInstance', { body: wish }]])
  const updated = await run('instance update web --name shop --backups off', { updateInstance: () => instance })
  const body = { name: 'shop', automaticBackups: false }
  assert.deepEqual(updated.calls, [['updateInstance', { id: 'web', body }]])
  await assert.rejects(run('instance update web --backups maybe'), { exit: 'usage' })
})

test('account credit takes amounts in the major unit', async () => {
  const answers = {
    getCredit: () => ({ creditMinor: null, committedMinor: 9_900 }),
    setCredit: () => ({ creditMinor: 9_950, committedMinor: 0 }),
  }
  assert.equal((await run('account credit', answers)).out, 'credit     unlimited\ncommitted  99.00 a month')
  const { calls, out } = await run('account credit a@b.no 99.5', answers)
  assert.deepEqual(calls, [['setCredit', { id: 'a@b.no', body: { creditMinor: 9_950 } }]])
  assert.match(out, /^credit +99\.50$/m)
  for (const amount of ['-1', '1.234', 'much', '1e3']) {
    await assert.rejects(run(`account credit a@b.no ${amount}`, answers), { exit: 'usage' }, amount)
  }
})

test('--wait follows the operation and prints the instance as it is then', async () => {
  const states: Operation['state'][] = ['pending', 'running', 'succeeded']
  const { out, notes, exit } = await run('instance start web --wait --json', {
    startInstance: () => ({ instance: { ...instance, state: 'starting' }, operation }),
    getOperation: () => ({ ...operation, state: states.shift() }),
    getInstance: () => instance,
  })
  assert.equal(exit, 0)
  assert.deepEqual(notes, [])
  const printed = JSON.parse(out) as { instance: Instance; operation: Operation }
  assert.equal(printed.instance.state, 'running')
  assert.equal(printed.operation.state, 'succeeded')
})

test('a failed operation and an end of patience are errors of their own', async () => {
  const start = { startInstance: () => ({ instance, operation }) }
  await assert.rejects(
    run('instance start web --wait', {
      ...start,
      getOperation: () => ({ ...operation, state: 'failed', message: 'no memory' }),
    }),
    { exit: 'error', message: 'instance.create failed: no memory' },
  )
  await assert.rejects(run('instance start web --wait --timeout 0', { ...start, getOperation: () => operation }), {
    exit: 'timedOut',
  })
})

test('image list', async () => {
  const absent = {
    ...image,
    id: 'ubuntu-24.04',
    name: 'Ubuntu 24.04 LTS',
    state: 'absent',
    fileBytes: null,
    builder: null,
  }
  const { out } = await run('image list', { listImages: () => ({ items: [image, absent], total: 2 }) })
  assert.equal(
    out,
    [
      'IMAGE         NAME              STATE      SIZE     CHANGED  COMES BY',
      'micro         Micro Linux       available  5.2 MiB  60 s     build',
      'ubuntu-24.04  Ubuntu 24.04 LTS  absent     -        -        import',
    ].join('\n'),
  )
})

const bucket = {
  id: 'bkt_1',
  name: 'media',
  accountId: 'acct_1',
  tier: 'standard',
  location: 'no-oslo-1',
  versioning: 'off',
  hasObjectLock: false,
  isPublic: false,
  objects: 12,
  versions: 12,
  bytes: 3 * 1024 ** 3,
  uploadBytes: 0,
  createdAt: '2026-05-01T09:00:00.000Z',
}

test('buckets: a table, and hours in words that a bill has', async () => {
  const { out, calls } = await run('bucket list --prefix m', { listBuckets: () => ({ items: [bucket], total: 1 }) })
  assert.equal(
    out,
    [
      'BUCKET  OBJECTS  SIZE     TIER      VERSIONING  ACCESS   LOCATION   AGE',
      'media   12       3.0 GiB  standard  off         private  no-oslo-1  3 h',
    ].join('\n'),
  )
  assert.deepEqual(calls[0], ['listBuckets', { query: { limit: 1000, prefix: 'm' } }])
  const hour = { byteSeconds: String(3600 * 1024 ** 3), readRequests: 4, writeRequests: 2, bytesIn: 1024, bytesOut: 0 }
  const hours = [{ ...hour, hour: '2026-05-01T11:00:00.000Z' }]
  const usage = await run('bucket usage media --hours 1', { getBucketUsage: () => ({ bucket, hours }) })
  assert.equal(
    usage.out,
    [
      'objects             12',
      'versions            12',
      'size                3.0 GiB',
      'unfinished uploads  0 B',
      '',
      'HOUR (UTC)        GIB HOURS  READS  WRITES  IN       OUT',
      '2026-05-01 11:00  1.000000   4      2       1.0 KiB  0 B',
    ].join('\n'),
  )
})

const access = { accessKeyId: 'HAVN1', secretAccessKey: 's3cret', s3Url: 'http://127.0.0.1:9000', region: 'eu-north-1' }

test('s3 env prints lines for every client, each with the key and the place', async () => {
  for (const client of ['aws', 'boto3', 'javascript', 'rclone', 'restic', 's3cmd', 's3fs', 'terraform', 'mc', 'curl']) {
    const { out } = await run(`s3 env ${client}`, { getS3Credentials: () => access })
    for (const word of ['HAVN1', 's3cret', '127.0.0.1:9000']) assert.ok(out.includes(word), `${client}: ${word}`)
  }
  assert.equal(
    (await run('s3 env', { getS3Credentials: () => access })).out.split('\n')[0],
    'export AWS_ACCESS_KEY_ID=HAVN1',
  )
  const shown = await run('s3 credentials', { getS3Credentials: () => access })
  assert.match(shown.out, /^access key {2}HAVN1\nsecret {6}s3cret\nendpoint/)
})

test('a quota is said in sizes', async () => {
  const answer = {
    accountId: 'acct_1',
    quota: { bytes: 1024 ** 3, objects: null, buckets: null },
    used: { buckets: 2, objects: 5, versions: 6, bytes: 1024, uploadBytes: 1024 },
  }
  const { out, calls } = await run('account quota a@b.c --bytes 1GiB --objects none', { changeQuota: () => answer })
  assert.deepEqual(calls[0], ['changeQuota', { id: 'a@b.c', body: { bytes: 1024 ** 3, objects: null } }])
  assert.equal(
    out,
    [
      '         USED     LIMIT',
      'bytes    2.0 KiB  1.0 GiB',
      'objects  6        no limit',
      'buckets  2        1000',
    ].join('\n'),
  )
})

test('status without an API says so and ends with 5', async () => {
  const { out, exit } = await run('status')
  assert.equal(exit, 5)
  assert.equal(out, 'no processes of this HAVN_HOME run\n\nnobody answers getStatus')
})

test('wrong words are usage errors that name what there is', async () => {
  const wrong: [string, RegExp][] = [
    ['nonsense', /no command "nonsense"/],
    ['instance creat web', /no command "instance creat"; instance can create, list/],
    ['instance show', /NAME is missing\nUsage: \.\/havn instance show NAME \[OPTIONS\]/],
    ['instance show a b', /what is "b" for/],
    ['instance show a --nope', /Unknown option '--nope'/],
    ['instance create web', /needs --image/],
    ['instance start web --wait --timeout soon', /--timeout takes a number/],
    ['key create k --service nope', /--service is one of/],
    ['bucket create b --tier gold', /--tier is one of standard, enterprise/],
    ['bucket usage b --hours 0', /--hours is 1 to 1000/],
    ['object put - b', /needs a key/],
    ['object put /nonexistent b/k', /there is no file/],
    ['object get b', /names a bucket/],
    ['object rm b/k --versions', /--versions goes with --recursive/],
    ['s3 env nope', /no lines for "nope"; there are aws, boto3/],
    ['account quota --bytes 1', /say whose quota/],
    ['account quota x --bytes lots', /--bytes is a number/],
    ['image import x.img', /needs --os/],
    ['image import /nonexistent.img --os micro', /there is no file/],
  ]
  for (const [line, message] of wrong) {
    await assert.rejects(run(line, { startInstance: () => ({ instance, operation }) }), (error: CliError) => {
      assert.match(error.message, message)
      assert.equal(error.exit, 'usage', line)
      return true
    })
  }
})

test('every command has help, and its options explain themselves', async () => {
  for (const command of COMMANDS) {
    const { out, exit } = await run(`${command.name} --help`)
    assert.equal(exit, 0)
    assert.equal(out, helpOf(command))
    assert.match(out, /^Usage: \.\/havn /)
  }
})

test('instance metrics is a table with a row for each interval', async () => {
  const interval = { from: '2026-05-01T11:50:00.000Z', to: '2026-05-01T11:55:00.000Z' }
  const series = [
    { metric: 'cpuPercent', values: [{ ...interval, value: 12.34, max: 80 }] },
    { metric: 'networkInBytes', values: [{ ...interval, value: 2048, max: null }] },
    { metric: 'diskReadOps', values: [{ ...interval, value: null, max: null }] },
  ]
  const { out, calls } = await run('instance metrics web', { getInstanceMetrics: () => ({ series }) })
  const query = { step: '5min', from: '2026-05-01T10:00:00.000Z', to: NOW.toISOString() }
  assert.deepEqual(calls, [['getInstanceMetrics', { id: 'web', query }]])
  assert.equal(
    out,
    [
      'UNTIL                 CPU %  MEMORY  DISK  NET IN   NET OUT  READ  WRITTEN  READS  WRITES',
      '2026-05-01T11:55:00Z  12.3   -       -     2.0 KiB  -        -     -        -      -',
    ].join('\n'),
  )
  await assert.rejects(run('instance metrics web --step week'), /--step is one of/)
  await assert.rejects(run('instance metrics web --from soon'), /not a time/)
})

test('a restore in place takes no plan, and a policy is cleared alone: nothing is overwritten by mistake', async () => {
  await assert.rejects(run('backup restore bk-9k2m4x7q --plan vps-2gb-1cpu'), { exit: 'usage' })
  for (const more of ['--on', '--time 03:00', '--days 7']) {
    await assert.rejects(run(`backup policy web --clear ${more}`), { exit: 'usage' })
  }
})

test('backup verify waits for the verification that is under way', async () => {
  const running = { id: 'rcpt_1', state: 'running', stateReason: null, checks: [], finishedAt: null, restoreMs: null }
  const under = { ...operation, id: 'op_2', kind: 'backup.verify', state: 'running' }
  const answers = {
    verifyBackup: () => {
      throw new CliError('conflict', 'backup.verify is under way')
    },
    getBackup: () => ({ id: 'bkp_1', state: 'completed' }),
    listOperations: () => ({ items: [under], total: 1 }),
    listReceipts: () => ({ items: [running], total: 1 }),
    getOperation: () => ({ ...under, state: 'succeeded' }),
    getReceipt: () => ({ ...running, state: 'passed', bootMs: 900 }),
  }
  const { exit, out, calls } = await run('backup verify bk-9k2m4x7q', answers)
  assert.equal(exit, 0)
  assert.match(out, /^result +passed$/m)
  assert.deepEqual(
    calls.find(([name]) => name === 'listOperations'),
    ['listOperations', { query: { resourceId: 'bkp_1', open: 'true', limit: 10 } }],
  )
  const uncompleted = { ...answers, getBackup: () => ({ id: 'bkp_1', state: 'creating' }) }
  const idle = { ...uncompleted, listOperations: () => ({ items: [], total: 0 }) }
  await assert.rejects(run('backup verify bk-9k2m4x7q', idle), { exit: 'conflict' })
})

test('operation list asks for what the API knows', async () => {
  const { out, calls } = await run('operation list --of inst_1 --open', {
    listOperations: () => ({ items: [], total: 0 }),
  })
  assert.equal(out, 'no operations')
  assert.deepEqual(JSON.parse(JSON.stringify(calls)), [
    ['listOperations', { query: { resourceId: 'inst_1', open: 'true' } }],
  ])
})
