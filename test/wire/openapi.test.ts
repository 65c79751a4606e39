/** The documents that dialects publish: valid OpenAPI, complete, and browsable without the net. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { type OpenApi, openApi } from '../../src/dialects/http/openapi.ts'
import { leaseweb } from '../../src/dialects/leaseweb/dialect.ts'
import { native } from '../../src/dialects/native/dialect.ts'
import { vpsorg } from '../../src/dialects/vpsorg/dialect.ts'
import { wayscloud } from '../../src/dialects/wayscloud/dialect.ts'
import { startCloud } from '../cloud.ts'

const dialects = [native(), wayscloud(), vpsorg(), leaseweb()]

describe('documents', () => {
  for (const dialect of dialects) {
    test(`${dialect.name}: valid OpenAPI 3.1 with every route`, async () => {
      const document = openApi(dialect)
      const { valid, errors } = await new Validator().validate(structuredClone(document) as never)
      assert.ok(valid, JSON.stringify(errors))
      const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
      )
      assert.deepEqual(listed.sort(), dialect.routes.map(({ method, path }) => `${method} ${path}`).sort())
      const ids = operations(document).map(({ operationId }) => operationId)
      assert.equal(new Set(ids).size, ids.length)
      for (const [, name] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
        assert.ok(document.components.schemas[name!], `${name} is referred to and not there`)
      }
    })
  }

  test('served, with a page that fetches nothing', async (t) => {
    const cloud = await startCloud(t, { withoutWorker: true })
    for (const { name } of dialects) {
      const served = await cloud.call<OpenApi>('GET', `/openapi/${name}.json`, undefined, null)
      assert.deepEqual([served.status, served.body.openapi], [200, '3.1.0'])
      const page = await (await fetch(`${cloud.apiUrl}/docs/${name}`)).text()
      assert.doesNotMatch(page, /<script|<link|<img|url\(|@import|https?:\/\//)
      for (const { operationId } of operations(served.body))
        assert.ok(page.includes(`id="${operationId}"`), operationId)
    }
  })

  const operations = ({ paths }: OpenApi) => Object.values(paths).flatMap((methods) => Object.values(methods))
})
