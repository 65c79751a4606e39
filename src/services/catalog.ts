/** What there is to choose from. */
import { CloudError } from '../model/errors.ts'
import * as catalog from '../store/catalog.ts'
import * as imageRows from '../store/images.ts'
import type { Ctx } from './ctx.ts'

export const regions = (ctx: Pick<Ctx, 'db'>): Promise<catalog.Region[]> => catalog.listRegions(ctx.db)

/** By id, any of its aliases or what any dialect calls it; blanks around and case do not count. */
export async function findRegion(ctx: Pick<Ctx, 'db'>, word: string): Promise<catalog.Region | undefined> {
  const wanted = word.trim().toLowerCase()
  const words = ({ id, aliases, names }: catalog.Region) => [
    id,
    ...aliases,
    ...Object.values(names).map((name) => name.toLowerCase()),
  ]
  return (await regions(ctx)).find((region) => words(region).includes(wanted))
}

export const plans = (ctx: Pick<Ctx, 'db'>): Promise<catalog.Plan[]> => catalog.listPlans(ctx.db)

/** Every image of the catalogue, installed or not; its `state` says which. */
export const images = (ctx: Pick<Ctx, 'db'>): Promise<imageRows.Image[]> => imageRows.list(ctx.db)

/** Those that the caller's account made of its backups (templates.ts). */
export const ownImages = (ctx: Ctx): Promise<imageRows.Image[]> => imageRows.listOwn(ctx.db, ctx.caller.accountId)

/** The plan that a choice means, the first one when nothing was chosen. */
export async function choosePlan(ctx: Ctx, id: string | number | undefined): Promise<catalog.Plan> {
  const offered = await plans(ctx)
  const plan = id === undefined ? offered[0] : offered.find(isCalled(id))
  if (!plan) throw unknown('planId', id, offered)
  return plan
}

/** The region that a choice means; the first one with a host when nothing was chosen. */
export async function chooseRegion(ctx: Ctx, word: string | undefined): Promise<catalog.Region> {
  const offered = await regions(ctx)
  const region = word === undefined ? offered.find(({ available }) => available) : await findRegion(ctx, word)
  if (!region && word === undefined) throw new CloudError('unavailable', 'no host is online; try again in a moment')
  if (!region) throw unknown('regionId', word, offered)
  if (!region.available) {
    const open = offered.filter(({ available }) => available).map(({ id }) => id)
    throw refuse('regionId', word, `region ${region.id} has no host; there is ${open.join(', ') || 'none'}`)
  }
  return region
}

/**
 * The image that a choice means, of the catalogue or the account's own; the first installed one when nothing was chosen.
 * Only an installed one will do.
 */
export async function chooseImage(ctx: Ctx, id: string | number | undefined): Promise<imageRows.Image> {
  const offered = [...(await images(ctx)), ...(await ownImages(ctx))]
  const image = id === undefined ? offered.find(({ state }) => state === 'available') : offered.find(isCalled(id))
  if (!image && id === undefined) throw new CloudError('unavailable', 'no image is installed yet; build or import one')
  if (!image) throw unknown('imageId', id, offered)
  if (image.state !== 'available') {
    throw refuse('imageId', id, `image ${image.id} is not installed (${image.state}); ${howToGet(image)}`)
  }
  return image
}

const isCalled = (word: string | number) => (one: { id: string; number: number }) =>
  (typeof word === 'number' ? one.number : one.id) === word

const howToGet = (image: imageRows.Image): string =>
  image.state === 'building' || image.state === 'importing'
    ? 'wait until it is there'
    : image.accountId
      ? 'delete it and convert the backup again'
      : image.builder
        ? `the operator can run: havn image build ${image.id}`
        : `the operator can run: havn image import FILE --sha256 … --os ${image.id}`

function unknown(field: string, given: string | number | undefined, offered: readonly { id: string }[]): CloudError {
  const noun = field.replace(/Id$/, '')
  const message = `no ${noun} ${JSON.stringify(given)}; there is ${offered.map(({ id }) => id).join(', ')}`
  return refuse(field, given, message, 'unknown_choice')
}

/** `unknown_choice` and `unavailable_choice` let a dialect tell these refusals from malformed input. */
function refuse(
  field: string,
  input: string | number | undefined,
  message: string,
  code = 'unavailable_choice',
): CloudError {
  return new CloudError('invalid', message, { issues: [{ where: 'body', path: [field], code, message, input }] })
}
