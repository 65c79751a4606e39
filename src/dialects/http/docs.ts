/** The browsable form of a dialect's OpenAPI document: one page of plain HTML, no script, nothing fetched. */
import type { JsonSchema, OpenApi, Operation, Parameter } from './openapi.ts'
import type { Dialect } from './route.ts'

export function docsIndex(dialects: readonly Dialect[]): string {
  const items = dialects.map(
    ({ name, title, description, routes }) =>
      `<li><a href="/docs/${name}">${text(title)}</a> <small>${routes.length} operations</small><p>${prose(description)}</p></li>`,
  )
  return page('API', `<h1>APIs of this cloud</h1><ul class="index">${items.join('')}</ul>`)
}

export function docsPage(dialect: Dialect, document: OpenApi): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )
  const groups = Map.groupBy(operations, ({ operation }) => operation.tags[0]!)
  const contents = [...groups].map(
    ([tag, members]) =>
      `<section><h2>${text(tag)}</h2>${members.map((member) => operationHtml(member, document)).join('')}</section>`,
  )
  const nav = [...groups].map(
    ([tag, members]) =>
      `<h3>${text(tag)}</h3>${members
        .map(
          ({ method, operation }) =>
            `<a href="#${operation.operationId}"><span class="${method}">${method}</span> ${text(operation.summary)}</a>`,
        )
        .join('')}`,
  )
  const schemes = Object.values(document.components.securitySchemes)
    .map(({ description }) => `<li>${prose(String(description))}</li>`)
    .join('')
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) => `<h3 id="schema-${name}"><code>${name}</code></h3>${schemaTable(schema)}`,
  )
  return page(
    dialect.title,
    `<nav><a class="home" href="/docs">All APIs</a>${nav.join('')}<h3>Schemas</h3>${Object.keys(
      document.components.schemas,
    )
      .map((name) => `<a href="#schema-${name}">${name}</a>`)
      .join('')}</nav>
<main><h1>${text(dialect.title)}</h1><p>${prose(dialect.description)}</p>
<p><a href="/openapi/${dialect.name}.json">OpenAPI 3.1 document</a></p>
<h2>Credentials</h2><ul>${schemes}</ul>${contents.join('')}<section><h2>Schemas</h2>${schemas.join('')}</section></main>`,
  )
}

function operationHtml(at: { method: string; path: string; operation: Operation }, document: OpenApi): string {
  const { method, path, operation } = at
  const all = Object.entries(operation.responses)
  const answers = all
    .filter(([status]) => status < '400')
    .map(([status, { content }]) => {
      const [media, { schema } = { schema: undefined }] = Object.entries(content ?? {})[0] ?? []
      const shape = media === 'application/json' && schema ? typeOf(schema) : text(media ?? 'no body')
      return `<tr><td><b>${status}</b></td><td>${shape}</td></tr>`
    })
  const errors = all
    .filter(([status]) => status >= '400')
    .map(([status, { description }]) => `<abbr title="${text(description)}">${status}</abbr>`)
  const [error] = Object.values(all.at(-1)![1].content ?? {})
  if (error) answers.push(`<tr><td>${errors.join(' ')}</td><td>${typeOf(error.schema)}</td></tr>`)
  const [bodyMedia, body] = Object.entries(operation.requestBody?.content ?? {})[0] ?? []
  const bodyHtml = !body
    ? ''
    : bodyMedia === 'application/json'
      ? `<h4>Body</h4>${schemaTable(resolve(body.schema, document))}`
      : `<h4>Body</h4><p>${text(bodyMedia!)}</p>`
  return `<article id="${operation.operationId}"><h3>${text(operation.summary)}${
    operation.security?.length === 0 ? ' <small>no credential needed</small>' : ''
  }</h3><p class="path"><span class="${method}">${method}</span> <code>${text(path)}</code></p>${
    operation.parameters ? `<h4>Parameters</h4>${parameterTable(operation.parameters)}` : ''
  }${bodyHtml}<h4>Answers</h4><table>${answers.join('')}</table></article>`
}

const parameterTable = (parameters: readonly Parameter[]): string =>
  `<table>${parameters
    .map((at) =>
      row(at.name, at.required, { ...at.schema, ...(at.description && { description: at.description }) }, at.in),
    )
    .join('')}</table>`

function schemaTable(schema: JsonSchema): string {
  if (!schema.properties) return `<p>${typeOf(schema)}</p>`
  const rows = Object.entries(schema.properties).map(([name, member]) =>
    row(name, (schema.required ?? []).includes(name), member),
  )
  return `${schema.description ? `<p>${prose(schema.description)}</p>` : ''}<table>${rows.join('')}</table>`
}

function row(name: string, isRequired: boolean, schema: JsonSchema, where = ''): string {
  const notes = [
    schema.description && prose(schema.description),
    schema.default !== undefined && `default <code>${text(JSON.stringify(schema.default))}</code>`,
  ]
  const marks = `${isRequired ? '' : ' <small>optional</small>'}${where ? ` <small>${where}</small>` : ''}`
  return `<tr><td><code>${text(name)}</code>${marks}</td><td>${typeOf(schema)}</td><td>${notes.filter(Boolean).join('; ')}</td></tr>`
}

function typeOf(schema: JsonSchema): string {
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1)!
    return `<a href="#schema-${name}">${name}</a>`
  }
  if (schema.const !== undefined) return `<code>${text(JSON.stringify(schema.const))}</code>`
  if (schema.enum) return schema.enum.map((word) => `<code>${text(String(word))}</code>`).join(' ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return choices.map(typeOf).join(' or ')
  if (schema.type === 'array') return `array of ${typeOf(schema.items ?? {})}`
  if (schema.type === 'object' && schema.properties) {
    const members = Object.entries(schema.properties).map(
      ([name, member]) => `<code>${text(name)}</code>: ${typeOf(member)}`,
    )
    return `{ ${members.join(', ')} }`
  }
  const types = Array.isArray(schema.type) ? schema.type.join(' or ') : (schema.type ?? 'anything')
  return text(schema.format ? `${types} (${schema.format})` : types)
}

const resolve = (schema: JsonSchema, { components }: OpenApi): JsonSchema =>
  schema.$ref ? components.schemas[schema.$ref.split('/').at(-1)!]! : schema

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const text = (raw: string): string => raw.replaceAll(/[&<>"]/g, (character) => ENTITIES[character]!)
/** Text with `code` in backticks. */
const prose = (raw: string): string => text(raw).replaceAll(/`([^`]+)`/g, '<code>$1</code>')

const page = (title: string, content: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(title)}</title><style>${STYLE}</style></head><body>${content}</body></html>
`

const STYLE = `
:root{color-scheme:light dark;--ink:light-dark(#1d2530,#dfe5ec);--dim:light-dark(#5c6876,#93a0b0);--line:light-dark(#e2e6eb,#2c3642);
--paper:light-dark(#fff,#12171d);--soft:light-dark(#f5f7f9,#1a2129);--link:light-dark(#0b5cad,#7ab8f5)}
*{box-sizing:border-box}body{margin:0;font:15px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
body:has(nav){display:grid;grid-template-columns:17rem minmax(0,1fr)}
body:not(:has(nav)){max-width:50rem;margin:3rem auto;padding:0 1.5rem}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.2rem;background:var(--soft);border-right:1px solid var(--line);font-size:13.5px}
nav a{display:block;padding:.15rem 0;color:inherit;text-decoration:none}nav a:hover{text-decoration:underline}
nav h3{margin:1.1rem 0 .2rem;font-size:12px;text-transform:uppercase;letter-spacing:.06em;color:var(--dim)}nav .home{color:var(--link)}
main{padding:2rem 2.5rem 6rem;max-width:62rem}h1{margin:0 0 .5rem;font-size:1.9rem;line-height:1.2}
main h2{margin:2.6rem 0 .6rem;padding-top:1rem;border-top:1px solid var(--line);font-size:1.25rem}
article{margin:0 0 2.2rem;scroll-margin-top:1rem}article h3{margin:1.4rem 0 .2rem}h4{margin:1rem 0 .25rem;font-size:13px;color:var(--dim)}
.path{margin:.2rem 0;padding:.45rem .7rem;background:var(--soft);border:1px solid var(--line);border-radius:6px}
code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}a{color:var(--link)}
table{width:100%;border-collapse:collapse;font-size:14px}td{padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td:first-child{width:15rem}td:nth-child(2){width:20rem;overflow-wrap:anywhere}small{color:var(--dim);font-weight:400}ul.index{padding:0;list-style:none}ul.index p{margin:.1rem 0 1.2rem}
.GET,.POST,.PUT,.PATCH,.DELETE{display:inline-block;min-width:3.6em;font:600 11px ui-monospace,Menlo,Consolas,monospace}
.GET{color:light-dark(#1a6fb5,#6cb2f0)}.POST{color:light-dark(#1c7c43,#63c98b)}.PUT,.PATCH{color:light-dark(#9a6100,#e0ac4c)}.DELETE{color:light-dark(#b3302c,#f0837f)}
@media(max-width:50rem){body:has(nav){display:block}nav{position:static;height:auto;max-height:40vh}main{padding:1.5rem}td{display:block;width:auto!important;border:0;padding:.1rem 0}tr{display:block;border-bottom:1px solid var(--line);padding:.4rem 0}}
`
