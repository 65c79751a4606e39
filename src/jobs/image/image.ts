/**
 * The strand of an image: a build, an import, the conversion of a backup, or a removal of the installed file. The work
 * itself is a detached task that outlives the worker; the strand starts it, watches it by name, and writes down what
 * came of it. While a new file is made the old one stays in use, so a rebuild never leaves a moment without the image.
 */
import { z } from 'zod'
import { ERROR_CODES, type ErrorCode } from '../../model/errors.ts'
import type { OperationKind } from '../../model/operation.ts'
import * as images from '../../store/images.ts'
import * as operations from '../../store/operations.ts'
import { defineStrand, done, goto, type Outcome, type StepContext, wait } from '../engine/strand.ts'
import type { WorkerTools } from '../tools.ts'

type Context = StepContext<WorkerTools>

/** What the service writes into the strand's memory. */
export const ImageWork = z.object({
  imageId: z.string(),
  program: z.enum(['image-build', 'image-import', 'image-from-backup']),
  input: z.record(z.string(), z.unknown()),
  /** Absolute path of an upload, thrown away at the end. */
  upload: z.string().nullable(),
})
export type ImageWork = z.infer<typeof ImageWork>

/** What a task hands over. */
const Result = z.object({ digest: z.string(), bytes: z.number(), virtualBytes: z.number() })

const KINDS: readonly OperationKind[] = ['image.build', 'image.import', 'image.convert']
const WATCH_MS = 500
const RESTARTS_MAX = 3
const HOURS = 3_600_000

export const imageStrandId = (imageId: string): string => `image_${imageId}`

async function work({ id, state, tools }: Context): Promise<Outcome<'publish' | 'clean' | 'work'>> {
  const { imageId, program, input } = ImageWork.parse(state)
  const restarts = typeof state.restarts === 'number' ? state.restarts : 0
  const task = await tools.tasks.read(id)
  switch (task.state) {
    case 'absent':
      await tools.tasks.ensureStarted(id, program, input)
      return wait(WATCH_MS)
    case 'vanished':
      if (restarts >= RESTARTS_MAX) {
        return fails(id, imageId, 'unavailable', `the work died ${restarts + 1} times without saying why; see its log`)
      }
      await tools.tasks.ensureStarted(id, program, input)
      return { kind: 'wait', ms: WATCH_MS, state: { ...state, restarts: restarts + 1 } }
    case 'running':
      return wait(WATCH_MS, (tx) => operations.report(tx, id, { message: task.message, percent: task.percent }))
    case 'done':
      return { kind: 'goto', step: 'publish', state: { ...state, result: task.value } }
    case 'failed': {
      const { code = 'unavailable', message = 'it failed without saying why' } = task.error ?? {}
      return fails(id, imageId, code, message)
    }
  }
}

/** An image that was installed before stays so; only the attempt has failed. */
function fails(id: string, imageId: string, errorCode: ErrorCode, message: string): Outcome<'clean'> {
  return goto('clean', async (tx) => {
    const image = await images.lock(tx, imageId)
    await images.change(tx, imageId, { state: image.digest ? 'available' : 'failed', reason: message })
    await operations.finish(tx, id, KINDS, 'failed', {
      message,
      errorCode: ERROR_CODES.includes(errorCode) ? errorCode : 'unavailable',
    })
  })
}

async function publish({ id, state }: Context): Promise<Outcome<'clean'>> {
  const { imageId } = ImageWork.parse(state)
  const { digest, bytes, virtualBytes } = Result.parse(state.result)
  return goto('clean', async (tx) => {
    await images.lock(tx, imageId)
    await images.change(tx, imageId, { state: 'available', digest, fileBytes: bytes, virtualBytes })
    await operations.finish(tx, id, KINDS, 'succeeded')
  })
}

async function clean({ id, state, tools }: Context): Promise<Outcome> {
  const { upload } = ImageWork.parse(state)
  await tools.tasks.remove(id)
  if (upload) await tools.images.removeUpload(upload)
  return done()
}

export const imageStrand = defineStrand<WorkerTools>()({
  kind: 'image',
  first: 'work',
  steps: {
    work: { run: work, deadlineMs: 6 * HOURS },
    publish: { run: publish, deadlineMs: HOURS },
    clean: { run: clean, deadlineMs: HOURS },
  },
})
