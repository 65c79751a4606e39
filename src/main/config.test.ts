import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, readConfig } from './config.ts'

const read = (env: NodeJS.ProcessEnv) => readConfig({ HAVN_HOME: '/x', ...env }).storage

test('object storage has defaults that work', () => {
  const storage = read({})
  assert.deepEqual(storage.regions, ['eu-north-1'])
  assert.deepEqual(storage.domains, ['localhost', 's3.localhost'])
  assert.deepEqual(storage.objects, { driver: 'filesystem' })
  assert.deepEqual([storage.tls, storage.url, storage.bucketNameReuse], [null, null, 'never'])
  assert.ok(storage.processes >= 1 && storage.processes <= 8)
})

test('lists, switches and a cluster are read', () => {
  const cluster = {
    HAVN_OBJECTS: 's3',
    HAVN_OBJECTS_S3_ENDPOINT: 'https://s3.example.com/',
    HAVN_OBJECTS_S3_BUCKET: 'blobs',
    HAVN_OBJECTS_S3_ACCESS_KEY_ID: 'id',
    HAVN_OBJECTS_S3_SECRET_ACCESS_KEY: 'secret',
  }
  const storage = read({
    ...cluster,
    HAVN_S3_REGION: 'eu-west-9, us-east-1',
    HAVN_S3_PROCESSES: '3',
    HAVN_SSE_C_OVER_HTTP: 'yes',
  })
  assert.deepEqual(storage.regions, ['eu-west-9', 'us-east-1'])
  assert.deepEqual([storage.processes, storage.allowCustomerKeysOverHttp], [3, true])
  assert.deepEqual(storage.objects, {
    driver: 's3',
    endpoint: 'https://s3.example.com',
    region: 'us-east-1',
    bucket: 'blobs',
    prefix: '',
    accessKeyId: 'id',
    secretAccessKey: 'secret',
  })
  const tls = read({ HAVN_S3_TLS_CERT: '/c.pem', HAVN_S3_TLS_KEY: '/k.pem' }).tls
  assert.deepEqual(tls, { host: '127.0.0.1', port: 9443, certFile: '/c.pem', keyFile: '/k.pem' })
})

test('half a setting is refused by name', () => {
  const wrong: [NodeJS.ProcessEnv, RegExp][] = [
    [{ HAVN_S3_TLS_CERT: '/c.pem' }, /HAVN_S3_TLS_KEY/],
    [{ HAVN_OBJECTS: 's3' }, /HAVN_OBJECTS_S3_ENDPOINT/],
    [{ HAVN_S3_REGION: ',' }, /HAVN_S3_REGION/],
    [{ HAVN_S3_PROCESSES: '0' }, /HAVN_S3_PROCESSES/],
    [{ HAVN_S3_PROCESSES: '1.5' }, /HAVN_S3_PROCESSES/],
    [{ HAVN_S3_URL: 'ftp://x' }, /HAVN_S3_URL/],
    [{ HAVN_RSYNC_LISTEN: '8730' }, /HAVN_RSYNC_LISTEN/],
    [{ HAVN_RSYNC_LISTEN: '127.0.0.1:0' }, /HAVN_RSYNC_LISTEN/],
    [{ HAVN_RSYNC_LISTEN: '127.0.0.1:8730', HAVN_HOME: '/a %home' }, /HAVN_HOME/],
  ]
  for (const [env, message] of wrong) {
    assert.throws(
      () => read(env),
      (error: Error) => error instanceof ConfigError && message.test(error.message),
      JSON.stringify(env),
    )
  }
})
