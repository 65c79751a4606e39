/** A certificate authority that lives as long as a test, and a certificate of it for the loopback. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../../../src/lib/run.ts'

export interface Certificate {
  caFile: string
  /** PEM. */
  ca: string
  certificateFile: string
  keyFile: string
}

/** Writes its files into the folder, which exists. */
export async function makeCertificate(folder: string): Promise<Certificate> {
  const at = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => run('/usr/bin/openssl', args, { cwd: folder })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl('req', '-x509', ...key, '-subj', '/CN=throw-away', '-days', '2', '-keyout', 'ca.key', '-out', 'ca.pem')
  await openssl('req', ...key, '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr')
  await writeFile(at('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:*.localhost\n')
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
  await openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.pem')
  return {
    caFile: at('ca.pem'),
    ca: await readFile(at('ca.pem'), 'utf8'),
    certificateFile: at('server.pem'),
    keyFile: at('server.key'),
  }
}
