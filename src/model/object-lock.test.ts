import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canChangeRetention, type Retention } from './object-lock.ts'

const now = new Date('2030-01-10T00:00:00Z')
const at = (mode: Retention['mode'], day: number): Retention => ({ mode, until: new Date(Date.UTC(2030, 0, day)) })

test('who may change a retention into what', () => {
  const [governance, compliance] = [(day: number) => at('GOVERNANCE', day), (day: number) => at('COMPLIANCE', day)]
  const cases: readonly (readonly [from: Retention | null, to: Retention | null, may: boolean, bypassing: boolean])[] =
    [
      [null, governance(20), true, true],
      [null, compliance(20), true, true],
      [null, null, true, true],
      [governance(9), null, true, true],
      [compliance(9), null, true, true],
      [compliance(10), null, true, true],
      [governance(20), governance(21), true, true],
      [governance(20), governance(20), true, true],
      [governance(20), governance(19), false, true],
      [governance(20), compliance(20), true, true],
      [governance(20), compliance(19), false, true],
      [governance(20), null, false, true],
      [compliance(20), compliance(21), true, true],
      [compliance(20), compliance(19), false, false],
      [compliance(20), governance(21), false, false],
      [compliance(20), null, false, false],
    ]
  for (const [from, to, may, bypassing] of cases) {
    const said = `${from?.mode} ${from?.until.getUTCDate()} to ${to?.mode} ${to?.until.getUTCDate()}`
    assert.equal(canChangeRetention(from, to, now, false), may, said)
    assert.equal(canChangeRetention(from, to, now, true), bypassing, `bypassing, ${said}`)
  }
})
