/**
 * The watchdog of a freeze: `node freeze-task.ts AGENT_SOCKET NOTE QEMU`. Started before the freeze, in a session of
 * its own. It thaws the guest when its starter has died (its standard input ends without the word `done`) or has taken
 * more than five seconds since the word `freeze`, and tries until the agent has said yes or QEMU is gone.
 */
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, type ProcessIdentity } from '../../../../lib/process-identity.ts'
import { holdAgent, thaw } from '../guest/agent.ts'

const FROZEN_MS_MAX = 5_000
const TRY_MS = 2_000
const PAUSE_MS = 250
const PAUSE_MS_MAX = 5_000 // an agent that has not answered for long will hardly do so soon

const [socket = '', note = '', qemu = ''] = process.argv.slice(2)
const machine = JSON.parse(qemu) as ProcessIdentity

async function waitForTurn(): Promise<'thaw' | 'leave'> {
  const { promise, resolve } = Promise.withResolvers<'thaw' | 'leave'>()
  let heard = ''
  process.stdin.on('data', (bytes) => {
    const began = heard.includes('freeze\n')
    heard += bytes
    if (heard.includes('done\n')) resolve('leave')
    else if (!began && heard.includes('freeze\n')) setTimeout(() => resolve('thaw'), FROZEN_MS_MAX)
  })
  process.stdin.on('close', () => resolve(heard.includes('freeze\n') ? 'thaw' : 'leave'))
  process.stdout.on('error', () => {}) // nobody listens any more
  process.stdout.write('ready\n')
  return promise
}

if ((await waitForTurn()) === 'thaw') {
  for (let pause = PAUSE_MS; isAlive(machine); pause = Math.min(2 * pause, PAUSE_MS_MAX)) {
    const isOver = await holdAgent(socket, (ask) => thaw(ask, TRY_MS)).then(
      () => true,
      () => false,
    )
    if (isOver) break
    await sleep(pause)
  }
  await rm(note, { force: true })
}
process.exit(0)
