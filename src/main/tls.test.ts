import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from 'node:tls'
import type { S3Parts } from '../dialects/s3/handle.ts'
import { createS3Server } from '../dialects/s3/server.ts'
import { readCertificate } from './tls.ts'

function makeCertificate(folder: string, name: string) {
  const files = { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) }
  const how = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('/usr/bin/openssl', [...how, '-subj', `/CN=${name}`, '-keyout', files.keyFile, '-out', files.certFile], {
    stdio: 'pipe',
  })
  return { host: '127.0.0.1', port: 0, ...files }
}

const nameShown = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    }).on('error', reject)
  })

test('a certificate can be renewed without a restart; a wrong one is refused by name', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'havn-tls-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [first, second] = [makeCertificate(folder, 'first.example'), makeCertificate(folder, 'second.example')]
  const server = createS3Server({
    parts: { settings: { regions: ['x'] } } as unknown as S3Parts,
    operations: [],
    findKey: () => null,
    domains: { s3: [], website: null },
    maxBodies: 1,
    log: () => {},
  })
  t.after(() => server.stop())
  const port = await server.listen({ ...first, tls: readCertificate(first) })
  assert.equal(await nameShown(port), 'first.example')
  server.renewTls(readCertificate(second))
  assert.equal(await nameShown(port), 'second.example')

  assert.throws(() => readCertificate({ ...first, keyFile: second.keyFile }), /no certificate and its key/)
  assert.throws(() => readCertificate({ ...first, certFile: join(folder, 'none') }), /HAVN_S3_TLS_CERT: cannot read/)
  writeFileSync(first.certFile, 'nonsense')
  assert.throws(() => readCertificate(first), { code: 'invalid' })
})
