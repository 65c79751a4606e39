import assert from 'node:assert/strict'
import { test } from 'node:test'
import { escapeXml, group, leaf, plainXml, resultXml, urlEncode } from './xml.ts'

test('a document is text with everything of a client escaped', () => {
  assert.equal(
    resultXml('R', [
      leaf('Key', 'a<b>&"\'\u0001\r\n\t'),
      leaf('Size', 0),
      leaf('IsTruncated', false),
      leaf('Nothing', null),
      leaf('Empty', ''),
      leaf('At', new Date(0)),
      group('Grantee', [leaf('ID', 'x')], { 'xsi:type': 'Canonical"User' }),
    ]),
    '<?xml version="1.0" encoding="UTF-8"?>\n<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
      '<Key>a&lt;b&gt;&amp;&quot;&#39;&#x1;&#xD;\n\t</Key><Size>0</Size><IsTruncated>false</IsTruncated><Empty></Empty>' +
      '<At>1970-01-01T00:00:00.000Z</At><Grantee xsi:type="Canonical&quot;User"><ID>x</ID></Grantee></R>',
  )
  assert.equal(plainXml('Error', []), '<?xml version="1.0" encoding="UTF-8"?>\n<Error></Error>')
})

test('characters beyond XML 1.0 become references, halves of characters the replacement', () => {
  assert.equal(escapeXml('\uffff\u007f😀\ud800'), '&#xFFFF;&#x7F;😀\ufffd')
})

test('encoding-type=url leaves slashes', () => {
  assert.equal(urlEncode('a b/c+d&é~'), 'a%20b/c%2Bd%26%C3%A9~')
})
