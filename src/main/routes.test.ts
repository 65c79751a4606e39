import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRoutes } from './routes.ts'

test('routed blocks are read, the default route is not one', () => {
  const text = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'br0\t00005B0A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0',
    '',
  ].join('\n')
  assert.deepEqual(parseRoutes(text), ['10.0.0.0/24', '10.91.0.0/20'])
  assert.deepEqual(parseRoutes(''), [])
})
