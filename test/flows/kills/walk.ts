/** One walk through a story with one victim, who is killed at every place that the story comes through. */
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '../../../src/lib/wait.ts'
import { audit } from './audit.ts'
import type { KillCloud } from './cloud.ts'
import { type Run, type Story, storiesOf } from './stories.ts'
import { recover, strike, VICTIMS, type Victim } from './victims.ts'

export interface Walk {
  story: string
  victim: Victim
}
export const nameOf = ({ story, victim }: Walk): string => `${story} / ${victim}`

export interface Told {
  /** Where the victim was killed, and how long after the step began; `before`: what led there was not yet written. */
  kills: string[]
  /** Where there was nobody to kill. */
  spared: string[]
  /** Seconds of its parts. */
  took: string
}

export function walkerOf(cloud: KillCloud) {
  const { stories, prepareMachine } = storiesOf(cloud)

  async function walk({ story: name, victim }: Walk, random: () => number): Promise<Told> {
    const story = stories.find((one) => one.name === name)!
    const places = story.places.filter(({ victims }) => victims.includes(victim))
    const watch = stopwatch()
    await prepareMachine(story.needs)
    await story.prepare()
    watch.note('prepare')
    await cloud.gate.close(places)
    let run: Run | null = null
    const begun = story.begin().then((it) => {
      run = it
    })
    begun.catch(() => {})
    const isOver = async () => run !== null && (await story.isOver(run))
    const told: Told = { kills: [], spared: [], took: '' }
    for (;;) {
      const at = await cloud.gate.nextWaiting(isOver)
      if (at === null) break
      const { kind, step, spreadMs } = places[at]!
      // A task has not begun before its step has.
      const isBefore = victim !== 'task' && random() < 0.4
      const pauseMs = isBefore ? 0 : Math.round(random() * spreadMs)
      if (!isBefore) await cloud.gate.letThrough(at)
      await delay(pauseMs) // this is the moment that was chosen, nothing is waited for
      const target = run ?? { machineId: story.needs === 'running' ? cloud.machineId : null, taskId: null }
      const hasStruck = await strike(cloud, victim, target)
      if (isBefore) await cloud.gate.letThrough(at)
      await story.holds()
      if (victim === 'store') await isMissed(isOver)
      await recover(cloud, victim)
      await story.holds()
      ;(hasStruck ? told.kills : told.spared).push(`${kind} ${step} ${isBefore ? 'before' : `+${pauseMs} ms`}`)
    }
    await cloud.gate.open()
    await begun
    watch.note('killing')
    await story.ends(run!)
    watch.note('to its end')
    await audit(cloud)
    watch.note('audit')
    return { ...told, took: watch.read() }
  }

  /** Somebody asked the store in vain, or nobody needs it now. */
  async function isMissed(isOver: () => Promise<boolean>): Promise<void> {
    await waitFor(async () => cloud.store.turnedAway() > 0 || (await isOver()), { timeoutMs: MISSED_MS })
  }
  return { walks: walksOf(stories), walk }
}

const MISSED_MS = 3_000

function walksOf(stories: readonly Story[]): Walk[] {
  return stories.flatMap(({ name, places }) =>
    VICTIMS.filter((victim) => places.some(({ victims }) => victims.includes(victim))).map((victim) => ({
      story: name,
      victim,
    })),
  )
}

function stopwatch() {
  const parts: string[] = []
  let began = performance.now()
  return {
    note(what: string) {
      parts.push(`${what} ${((performance.now() - began) / 1_000).toFixed(1)}`)
      began = performance.now()
    },
    read: () => parts.join(', '),
  }
}
