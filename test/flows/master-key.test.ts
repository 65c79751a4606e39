/** Without its master key a Havn must not start as if nothing had happened: no backup could be restored. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { newHavn } from '../havn.ts'

test('a start without the master key, or with another, is refused until the right one is back', async (t) => {
  const havn = await newHavn({ HAVN_COMPUTE: 'simulator', HAVN_S3_PROCESSES: '1' })
  t.after(() => havn.close())
  const file = join(havn.paths.keys, 'master.key')
  const up = () => havn.run('up --detach --empty')
  const first = await up()
  assert.equal(first.code, 0, first.err)
  await havn.run('down')
  const masterKey = await readFile(file)

  await rm(file)
  const gone = await up()
  assert.equal(gone.code, 4, gone.out)
  assert.match(gone.err, /master\.key is gone, .*put the copy of it back/)
  await assert.rejects(stat(file), { code: 'ENOENT' }, 'no other key takes its place')

  await writeFile(file, randomBytes(32))
  const other = await up()
  assert.equal(other.code, 4, other.out)
  assert.match(other.err, /is not the key that the secrets in this database are sealed with/)

  await writeFile(file, masterKey)
  const again = await up()
  assert.equal(again.code, 0, again.err)
})
