/** Answers of what may take long: they begin before it is done, so that nobody gives up waiting for a first byte. */
import type { S3Answer } from './operation.ts'

const LATE_MS = 5_000 // well below the time-outs of clients and proxies

/** Headers that are only known at the end go out with it when it comes soon, and are left out when it does not. */
export async function soonOrLate(answer: Promise<S3Answer & { xml: string }>, lateMs = LATE_MS): Promise<S3Answer> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, lateMs, null)
  })
  try {
    const soon = await Promise.race([answer, late])
    return soon ?? { lateXml: answer.then(({ xml }) => xml) }
  } finally {
    clearTimeout(timer)
  }
}
