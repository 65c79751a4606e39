/**
 * The bytes of a real machine: backed up while its guest writes, changed and backed up again, restored onto another
 * machine's disk and compared there, downloaded, and booted by a bare QEMU that never heard of Havn.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readChunkList } from '../../src/drivers/backups/chunk-list.ts'
import { writeKnownChunks } from '../../src/drivers/backups/known-chunks.ts'
import { run } from '../../src/lib/run.ts'
import { newId } from '../../src/model/ids.ts'
import { publishBackup, signedUrl } from '../backup-rows.ts'
import { backupStage } from '../backup-stage.ts'
import { startCloud } from '../cloud.ts'
import { eventually } from '../eventually.ts'
import { openMachines } from '../machines.ts'

const { signal } = new AbortController()
const BOOT_MS = 240_000

test('a running machine is backed up, restored, downloaded and booted elsewhere', { timeout: 900_000 }, async (t) => {
  const machines = await openMachines()
  t.after(() => machines.close())
  const driver = machines.create()
  await driver.open()
  t.after(() => driver.close())
  const cloud = await startCloud(t)
  await cloud.call('POST', '/havn/v1/instances', { name: 'one' })
  const { objects, settings } = cloud.context
  const stage = await backupStage(t, { objects, masterKey: settings.masterKey })

  const spec = machines.spec()
  await driver.ensureDisk(spec, signal)
  await driver.ensureRunning(spec, signal)
  assert.ok(await driver.waitForSsh(spec, BOOT_MS, signal))
  const digestOf = (file: string) => `sha256sum ${file} | cut -d ' ' -f 1`
  const digest = await machines.ssh(
    spec,
    `dd if=/dev/urandom of=/root/data bs=1M count=24 2>/dev/null; sync; ${digestOf('/root/data')}`,
  )
  assert.match(digest, /^[0-9a-f]{64}$/)

  const first = newId('backup')
  const moment = await driver.openExport(spec, first, { changedSince: null }, signal)
  await machines.ssh(spec, 'dd if=/dev/urandom of=/root/data bs=1M count=24 2>/dev/null; sync')
  const full = await stage.upload({ backupId: first, ...moment })
  await driver.closeExport(spec.id, first, { keep: true }, signal)

  await machines.ssh(spec, 'dd if=/dev/urandom of=/root/more bs=1M count=5 2>/dev/null; sync')
  const second = newId('backup')
  const later = await driver.openExport(spec, second, { changedSince: first }, signal)
  assert.ok(later.source.kind === 'nbd' && later.source.dirtyBitmap !== null, 'it tells what changed')
  const knownFile = join(stage.folder, 'known')
  const known = []
  for await (const chunk of readChunkList(full.chunkListFile)) if (chunk) known.push(chunk)
  await writeKnownChunks(knownFile, known)
  const { manifestBlobId, manifestBytes } = full
  const base = { backupId: first, manifestBlobId, manifestBytes }
  const incremental = await stage.upload({ backupId: second, ...later, base, knownFile })
  await driver.closeExport(spec.id, second, { keep: true }, signal)
  t.diagnostic(`full: ${JSON.stringify({ ...full, chunkListFile: '' })}`)
  t.diagnostic(`incremental: ${JSON.stringify({ ...incremental, chunkListFile: '' })}`)
  assert.ok(incremental.readBytes < full.readBytes, 'unchanged chunks are not read')
  await driver.ensureStopped(spec.id, signal)

  // The first backup, on the disk of another machine.
  const other = machines.spec()
  const { file, format } = await driver.prepareDisk(other)
  await stage.restore(full, { file, format, owner: null })
  await driver.replaceDisk(other, signal)
  await driver.ensureRunning(other, signal)
  assert.ok(await driver.waitForSsh(other, BOOT_MS, signal))
  assert.equal(await machines.ssh(other, digestOf('/root/data')), digest, 'as it was before the guest wrote on')
  assert.equal(await machines.ssh(other, 'ls /root/more 2>/dev/null | wc -l'), '0')
  await driver.ensureStopped(other.id, signal)

  // The second one, taken away and booted without Havn.
  const shortId = await publishBackup(cloud, stage, incremental)
  const image = join(stage.folder, 'image.qcow2')
  await run('curl', ['-sSf', '-o', image, await signedUrl(cloud, shortId)])
  await run('qemu-img', ['check', '-q', '-f', 'qcow2', image])
  const restored = await stage.restore(incremental)
  await run('qemu-img', ['compare', '-q', '-f', 'raw', '-F', 'qcow2', restored.file, image])
  assert.ok(readFileSync(restored.file).length === moment.diskBytes)
  const serial = join(stage.folder, 'serial')
  const args = ['-machine', 'q35', '-accel', 'tcg,thread=multi,tb-size=64', '-cpu', 'max', '-m', '192']
  const qemu = spawn(
    'qemu-system-x86_64',
    [...args, '-nodefaults', '-display', 'none', '-serial', `file:${serial}`].concat([
      '-drive',
      `file=${image},format=qcow2,if=virtio`,
      '-nic',
      'user,restrict=on,model=virtio-net-pci',
    ]),
    { stdio: 'inherit' },
  )
  try {
    const said = () => (existsSync(serial) ? readFileSync(serial, 'utf8') : '')
    await eventually('it is ready', () => /micro: ready, ssh listens/.test(said()), BOOT_MS)
  } finally {
    qemu.kill('SIGKILL')
  }
})
