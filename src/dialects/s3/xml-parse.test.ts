import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { S3Error } from '../../model/s3-error.ts'
import { escapeXml } from './xml.ts'
import { allowOnly, booleanOf, childrenOf, findText, getChild, getText, integerOf, parseXml } from './xml-parse.ts'

const parse = (text: string | Uint8Array, root = 'R') => parseXml(Buffer.from(text as string), root)

test('with the namespace, without, with a prefix: the same tree', () => {
  const documents = [
    '<?xml version="1.0" encoding="UTF-8"?>\n<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><A>1</A><A>2</A></R>',
    '<R><A>1</A><A>2</A></R>\n',
    "\ufeff<?xml version='1.0'?><!-- x --><s:R xmlns:s='urn:x'>\n  <s:A>1</s:A>\n  <s:A><![CDATA[2]]></s:A></s:R><!-- y -->",
  ]
  for (const document of documents) {
    assert.deepEqual(
      childrenOf(parse(document), 'A').map(({ text }) => text),
      ['1', '2'],
    )
  }
})

test('text keeps its bytes: references, CDATA, line ends', () => {
  const table: [string, string][] = [
    ['&lt;&gt;&amp;&quot;&apos;', '<>&"\''],
    ['&#1;&#x1F;&#xFFFF;&#x1F600;', '\u0001\u001f\uffff😀'],
    ['a\r\nb\rc&#13;', 'a\nb\nc\r'],
    ['<![CDATA[<&amp;]]>x', '<&amp;x'],
    ['<!-- c -->x<!---->', 'x'],
    ['  x ', '  x '],
  ]
  for (const [inside, text] of table) assert.equal(getText(parse(`<R><K>${inside}</K></R>`), 'K'), text, inside)
  const key = 'a<b>&\u0001\r\n\t"\'😀\uffff'
  assert.equal(getText(parse(`<R><K>${escapeXml(key)}</K></R>`), 'K'), key)
})

test('attributes lose their prefix too', () => {
  const grantee = getChild(
    parse(`<R><G xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type='Canon&amp;'/></R>`),
    'G',
  )
  assert.deepEqual([...grantee.attributes], [['type', 'Canon&']])
})

test('what is not well formed, or could do harm, is MalformedXML', () => {
  const billion =
    '<!DOCTYPE R [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><R><K>&b;&b;&b;&b;</K></R>'
  const table = [
    '',
    'x',
    '<R>',
    '<R></r>',
    '<R><A></R></A>',
    '<R/><R/>',
    '<R/>x',
    'x<R/>',
    '</R>',
    '<R a=1/>',
    '<R a="1" a="2"/>',
    '<R a="<"/>',
    '<R>&nbsp;</R>',
    '<R>&</R>',
    '<R>&amp</R>',
    '<R>&#0;</R>',
    '<R>&#xD800;</R>',
    '<R>&#x110000;</R>',
    '<R>text<A/></R>',
    '<R><?php ?></R>',
    '<?xml-stylesheet href="x"?><R/>',
    '<?xml version="1.0" encoding="UTF-16"?><R/>',
    '<!DOCTYPE R><R/>',
    '<!DOCTYPE R SYSTEM "file:///etc/passwd"><R/>',
    billion,
    '<R><!-- a -- b --></R>',
    '<R><![CDATA[x</R>',
    '<R><!-- x</R>',
    '<1/>',
    '<S/>',
    `${'<R>'.repeat(30)}${'</R>'.repeat(30)}`,
    `<R>${'<a/>'.repeat(120_000)}</R>`,
    Buffer.from([0x3c, 0x52, 0x3e, 0xff, 0x3c, 0x2f, 0x52, 0x3e]),
  ]
  for (const document of table) {
    assert.throws(
      () => parse(document),
      (error: S3Error) => error.s3Code === 'MalformedXML',
      String(document).slice(0, 80),
    )
  }
})

test('the helpers refuse what does not fit', () => {
  const root = parse('<R><N>12</N><B>TRUE</B><Deep><X/></Deep><Two/><Two/></R>')
  assert.equal(integerOf(getChild(root, 'N')), 12)
  assert.equal(booleanOf(getChild(root, 'B')), true)
  assert.equal(findText(root, 'Nothing'), undefined)
  const wrong = [
    () => getText(root, 'Deep'),
    () => getText(root, 'Nothing'),
    () => getText(root, 'Two'),
    () => integerOf(getChild(root, 'B')),
    () => booleanOf(getChild(root, 'N')),
    () => allowOnly(root, ['N', 'B', 'Deep']),
  ]
  for (const attempt of wrong) assert.throws(attempt, (error: S3Error) => error.s3Code === 'MalformedXML')
  allowOnly(root, ['N', 'B', 'Deep', 'Two'])
})
