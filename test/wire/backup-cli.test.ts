/** `snapshot …` and `backup …` against a whole cloud: what people type, what they see, and the exit codes. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createClient } from '../../src/cli/client.ts'
import type { Cli } from '../../src/cli/command.ts'
import { CliError, type Exit } from '../../src/cli/exit.ts'
import { runCommand } from '../../src/cli/run.ts'
import { GUEST_WORDS } from '../../src/drivers/compute/simulator/guest.ts'
import type { InstanceId } from '../../src/model/ids.ts'
import { untilState, type Wire, wireOfSuite } from './wire.ts'

describe('snapshots and backups from the command line', () => {
  const suite = wireOfSuite()
  const folder = mkdtempSync(join(tmpdir(), 'havn-backup-'))
  let wire: Wire
  let id: InstanceId
  before(() => {
    wire = suite()
    id = wire.instance.id as InstanceId
  })
  after(() => rmSync(folder, { recursive: true }))

  async function run(words: string): Promise<string> {
    const lines: string[] = []
    const cli = {
      client: createClient({ apiUrl: wire.apiUrl, apiKey: wire.ownerKey }),
      print: (line: string) => void lines.push(line),
      note: () => {},
      isTerminal: false,
      now: () => new Date(),
    } as unknown as Cli
    assert.equal(await runCommand(words.split(' '), cli), 0)
    return lines.join('\n')
  }
  const fails = (words: string, exit: Exit, message: RegExp) =>
    assert.rejects(run(words), (error: unknown) => {
      return error instanceof CliError && error.exit === exit && message.test(error.message)
    })

  test('take, list, roll back, delete', async () => {
    wire.simulator.write(id, 'then')
    assert.equal(await run('snapshot create web one --memory --wait'), 'one is ready')
    await fails('snapshot create web one', 'conflict', /named "one" already/)
    wire.simulator.write(id, 'now')
    assert.match(await run('snapshot list web'), /^NAME +STATE +HOLDS .*\none +ready +disk and memory /)
    assert.equal(await run('snapshot rollback web one --wait'), 'one is ready')
    assert.equal(wire.simulator.read(id), 'then')
    assert.equal((await untilState(wire, id, 'running')).state, 'running')
    await fails('snapshot rollback web one --disk-only', 'conflict', /stop it first/)
    await fails('snapshot rollback web none', 'notFound', /no snapshot "none"/)
    const made = JSON.parse(await run('snapshot create web two --json --wait'))
    assert.deepEqual([made.snapshot.state, made.operation.state], ['ready', 'succeeded'])
    assert.equal(await run('snapshot delete web two --wait'), 'two is deleted')
    assert.equal(JSON.parse(await run('snapshot list web --json')).total, 1)
  })

  let shortId = ''
  test('back up, prove, show', { timeout: 120_000 }, async () => {
    const made = JSON.parse(await run('backup create web --label before --days 3 --wait --json'))
    assert.equal(made.backup.state, 'completed')
    shortId = made.backup.shortId
    assert.match(
      await run('backup list'),
      new RegExp(`\\n${shortId} +web +manual +completed +unproven .*1 backups, `, 's'),
    )
    assert.match(await run(`backup verify ${shortId}`), /result +passed.* boot: /s)
    assert.match(await run('backup list web'), /proven \d+ s ago/)
    const shown = await run(`backup show ${shortId}`)
    assert.match(shown, /label +before.*receipt +rcpt_/s)
    await fails('backup show bk-zzzzzzzz', 'notFound', /no backup/)
  })

  test('download, and go on where an earlier one was cut off', async () => {
    const file = join(folder, 'disk.qcow2')
    assert.match(await run(`backup download ${shortId} ${file}`), /disk\.qcow2, /)
    const image = readFileSync(file)
    assert.equal(image.subarray(0, 4).toString('latin1'), 'QFI\xfb')
    // What a run that was killed leaves.
    const { body: link } = await wire.call<{ url: string }>('GET', `/havn/v1/backups/${shortId}/download`)
    const { headers } = await fetch(link.url, { method: 'HEAD' })
    const part = `${file}.${headers.get('etag')!.replaceAll(/[^\w-]/g, '')}.part`
    writeFileSync(part, image)
    truncateSync(part, 1000)
    writeFileSync(file, 'older')
    await run(`backup download ${shortId} ${file}`)
    assert.ok(readFileSync(file).equals(image))
    assert.deepEqual(readdirSync(folder), ['disk.qcow2'])
    await run(`backup download ${shortId} ${folder}`)
    assert.ok(readFileSync(join(folder, `${shortId}.qcow2`)).equals(image), 'into a folder')
    await fails(`backup download ${shortId} ${folder}/none/disk.qcow2`, 'usage', /there is no folder .*none$/)
    assert.deepEqual(readdirSync(folder).sort(), [`${shortId}.qcow2`, 'disk.qcow2'])
  })

  test('what is wrong is said once', async () => {
    await fails('backup create web --days 0', 'usage', /^retentionDays: Too small[^\n]+$/)
    await fails('backup create web --label a\x1b[31mb', 'usage', /^label: must not hold control characters$/)
  })

  test('restore in place and to a new instance', { timeout: 120_000 }, async () => {
    await fails(`backup restore ${shortId}`, 'conflict', /stop it first/)
    await run('instance stop web --wait')
    wire.simulator.write(id, 'worse')
    assert.equal(await run(`backup restore ${shortId} --wait`), 'web is stopped')
    assert.equal(wire.simulator.read(id), 'then')
    assert.equal(await run(`backup restore ${shortId} --to twin --wait`), 'twin is running')
  })

  test('a backup that does not come through its proof is no success', { timeout: 120_000 }, async () => {
    wire.simulator.write(id, GUEST_WORDS.damaged)
    const made = JSON.parse(await run('backup create web --wait --json'))
    await fails(`backup verify ${made.backup.shortId}`, 'error', /did not pass/)
    assert.match(await run('backup list web'), new RegExp(`${made.backup.shortId} .* failed `))
    assert.match(await run(`backup delete ${made.backup.shortId}`), /is deleted/)
  })

  test('policy', async () => {
    assert.match(await run('backup policy web'), /not by themselves/)
    assert.match(
      await run('backup policy web --on --frequency weekly --day sunday --time 04:15 --days 7'),
      /weekly, sunday at 04:15 UTC\nkept +7 days\nnext +\d/,
    )
    await fails('backup policy web --days 8', 'usage', /7, 14 or 30/)
    await fails('backup policy web --on --off', 'usage', /not both/)
    assert.match(await run('backup policy web --off'), /not by themselves \(else weekly/)
    assert.match(await run('backup policy web --clear'), /not by themselves\n/)
  })

  test('delete, also what is left of an instance that is gone', { timeout: 120_000 }, async () => {
    await run('instance delete web --purge --wait')
    assert.match(await run('backup list'), new RegExp(shortId))
    assert.equal(await run(`backup delete ${shortId}`), `${shortId} is deleted`)
    await fails(`backup show ${shortId}`, 'notFound', /no backup/)
  })
})
