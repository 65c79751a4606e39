/**
 * Reconcilers take no input: from the start, on a timer and at a nudge they compare what should be with what is. Each
 * runs alone (never twice at once); what one throws is logged and the next round tries again.
 */
export interface Reconciler<Tools> {
  name: string
  everyMs: number
  run(tools: Tools, signal: AbortSignal): Promise<void>
}

export interface ReconcilerRunner {
  start(): void
  nudge(name: string): void
  /** Runs one now, or joins the run under way, and says how it ended. */
  runNow(name: string): Promise<void>
  stop(): Promise<void>
}

export function runReconcilers<Tools>(
  reconcilers: readonly Reconciler<Tools>[],
  tools: Tools,
  log: (message: string, error?: unknown) => void,
): ReconcilerRunner {
  const abort = new AbortController()
  const slots = new Map(
    reconcilers.map((reconciler) => [
      reconciler.name,
      {
        reconciler,
        timer: undefined as NodeJS.Timeout | undefined,
        current: null as Promise<void> | null,
        again: false,
      },
    ]),
  )
  type Slot = NonNullable<ReturnType<typeof slots.get>>

  function round(slot: Slot): Promise<void> {
    clearTimeout(slot.timer)
    slot.again = false
    const current = slot.reconciler.run(tools, abort.signal).finally(() => {
      slot.current = null
      if (abort.signal.aborted) return
      slot.timer = setTimeout(() => void quietly(slot), slot.again ? 0 : slot.reconciler.everyMs)
    })
    slot.current = current
    return current
  }

  const quietly = (slot: Slot): Promise<void> =>
    (slot.current ?? round(slot)).catch((error: unknown) => {
      if (!abort.signal.aborted) log(`${slot.reconciler.name} failed; it runs again soon`, error)
    })

  return {
    start() {
      for (const slot of slots.values()) void quietly(slot)
    },
    nudge(name) {
      const slot = slots.get(name)
      if (!slot || abort.signal.aborted) return
      if (slot.current) slot.again = true
      else void quietly(slot)
    },
    async runNow(name) {
      const slot = slots.get(name)
      if (!slot) throw new Error(`no reconciler ${name}`)
      if (slot.current) await slot.current.catch(() => {})
      await round(slot)
    },
    async stop() {
      abort.abort(new Error('the worker stops'))
      for (const slot of slots.values()) clearTimeout(slot.timer)
      await Promise.allSettled([...slots.values()].map(({ current }) => current))
    },
  }
}
