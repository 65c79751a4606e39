/** Questions that are asked in the same turn of the event loop, answered together. */

/**
 * `ask` answers every question, in their order; when it throws, all who asked then get the error. Nobody waits for
 * anybody who is not there yet: alone, a question goes out at the end of its turn.
 */
export function askAtOnce<Question, Answer>(
  most: number,
  ask: (questions: readonly Question[]) => Promise<readonly Answer[]>,
): (question: Question) => Promise<Answer> {
  type Waiting = { question: Question; resolve(answer: Answer): void; reject(error: unknown): void }
  let waiting: Waiting[] = []

  async function flush(): Promise<void> {
    const some = waiting
    waiting = []
    if (some.length === 0) return // they were too many to wait
    try {
      const answers = await ask(some.map(({ question }) => question))
      for (const [index, { resolve }] of some.entries()) resolve(answers[index] as Answer)
    } catch (error) {
      for (const { reject } of some) reject(error)
    }
  }

  return (question) =>
    new Promise((resolve, reject) => {
      waiting.push({ question, resolve, reject })
      if (waiting.length >= most) void flush()
      else if (waiting.length === 1) setImmediate(flush)
    })
}

/** The same for each source of answers, a database for example: only who asks the same one is answered together. */
export function askAtOnceOf<Source extends object, Question, Answer>(
  most: number,
  ask: (source: Source, questions: readonly Question[]) => Promise<readonly Answer[]>,
): (source: Source) => (question: Question) => Promise<Answer> {
  const askers = new WeakMap<Source, (question: Question) => Promise<Answer>>()
  return (source) => {
    const known = askers.get(source)
    if (known) return known
    const made = askAtOnce(most, (questions: readonly Question[]) => ask(source, questions))
    askers.set(source, made)
    return made
  }
}
