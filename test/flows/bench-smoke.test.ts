/** The benches keep working: each runs with tiny sizes and prints its table. What the numbers say is for people. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const RUN_MS_MAX = 120_000
const SMALL: Record<string, { options: string[]; prints: RegExp[] }> = {
  'strands.ts': {
    options: ['--strands', '20', '--rounds', '1', '--concurrency', '4'],
    prints: [/^bare loop +\d+/m, /^strand engine +\d+/m, /^ratio engine \/ bare: \d/m],
  },
  'api.ts': {
    options: ['--instances', '150', '--seconds', '0.1', '--rounds', '1'].concat([
      '--rate',
      '20',
      '--connections',
      '2',
      '--sample',
      '5',
    ]),
    prints: [
      /^native GET, Havn( +[\d.]+){7} +0 +\d+$/m,
      /^WAYSCloud LIST 100, bare( +[\d.]+){7} +0 +\d+$/m,
      /^VPS\.org GET, Havn( +[\d.]+){7} +0 +\d+$/m,
      /^Leaseweb LIST 100, Havn( +[\d.]+){7} +0 +\d+$/m,
      /^ratio native LIST 100: \d/m,
      /^ratio Leaseweb GET, CPU: \S/m,
    ],
  },
  'idle.ts': {
    options: ['--instances', '20', '--creates', '3', '--settle', '0', '--seconds', '0.5'],
    prints: [/^3 creates at once, all running +[\d.]+ s/m, /^idle CPU of 20 instances, together +[\d.]+ core/m],
  },
  'metrics.ts': {
    options: ['--days', '3', '--instances', '3', '--machines', '20', '--rounds', '1'],
    prints: [/^traffic, 5min +[\d.]+ +[\d.]+ +864$/m, /^sweep: measure, count, write( +[\d.]+){3}$/m],
  },
  'backup.ts': {
    options: ['--data', '16', '--changes', '1', '--rounds', '1'],
    prints: [
      /^full backup( +[\d.]+){5}$/m,
      /^restore( +[\d.]+){3}/m,
      /^ratio full backup \/ qemu-img convert: \d/m,
      /^compress \(zstd\) +\d+/m,
    ],
  },
  's3.ts': {
    options: [
      '--seconds',
      '0.2',
      '--rounds',
      '1',
      '--connections',
      '2',
      '--small',
      '2',
      '--medium',
      '1',
      '--large',
      '2',
    ].concat(['--warm', '0.2', '--keys', '2000', '--parts', '3']),
    prints: [
      /^GET 4 KiB, Havn( +[\d.]+){4} +0$/m,
      /^PUT 2 MiB, CRC32 trailer, Havn( +[\d.]+){4} +0$/m,
      /^Complete of 3 parts: [\d.]+ ms/m,
      /^LIST 1000 prefixes of 2 keys( +[\d.]+){3} +0 +\d+$/m,
    ],
  },
}

for (const [file, { options, prints }] of Object.entries(SMALL)) {
  test(`bench/${file} prints its table`, async () => {
    const path = join(import.meta.dirname, '../../bench', file)
    const { stdout } = await promisify(execFile)(process.execPath, [path, ...options], { timeout: RUN_MS_MAX })
    for (const line of prints) assert.match(stdout, line)
  })
}
