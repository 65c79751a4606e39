import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cryptSha512, newSalt } from './crypt.ts'

test('what the C library says', () => {
  const vectors: [salt: string, password: string, hash: string][] = [
    [
      'saltstring',
      'Hello world!',
      'svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
    ],
    ['a', 'x', 'AvQLBHPFSbE4d9QOBrglBdXuv.jRoEFLHgWJlsZ6XhNHrxkMbotj9kAr0GGhdZ5XM6DM29/LJ9jZin3Aj8Tph0'],
    ['abcdefghij./0123', '', 'Vcdgaxg6aC90V6cpL0mJFWRSQyM4xfRTphlVdDnSi5WI3ZoSP6v8nmpO3Qr8TAIox3GyqeeNVfqiXzK2NnngQ0'],
    [
      '0123456789abcdef',
      'a very much longer text to encrypt. This one even stretches over more than one line, well beyond 64 bytes',
      's2C41CfJaernpvUC7m15C.NszsazNjv3bU0qnh9rmFJTWD6tSKFsmPhl92povdfKgppKCVxvtNYDcjVBfzghb1',
    ],
    [
      './',
      'blåbærsyltetøy ☃',
      'RIHsr/RLALlYU4lhi7o4tUerHGW3LvGRONQ8U8JpX3QKyFYdTjWr/CGaR4eG1KnNFWvIi3vZx9LBejIob/Vu71',
    ],
    [
      'Zz9',
      '0000000000000000000000000000000000000000000000000000000000000000',
      'DwH/DWegymDOEDYpr8fJx9bPIh1iQ6bhMAXDJYGE5jfIN5rZFaDAhTy6b5W1CLoCVbbNgvy0djxMA1GScIM0O/',
    ],
  ]
  for (const [salt, password, hash] of vectors) assert.equal(cryptSha512(password, salt), `$6$${salt}$${hash}`)
})

test('a new salt every time', () => {
  assert.match(newSalt(), /^[./0-9A-Za-z]{16}$/)
  assert.match(cryptSha512('x'), /^\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$/)
  assert.notEqual(cryptSha512('x'), cryptSha512('x'))
})
