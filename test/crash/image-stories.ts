/** Stories of images: built, built again, and what becomes of one whose task dies or fails. */
import * as images from '../../src/services/images.ts'
import { forgetOperations, type Story, strandEnds } from './story.ts'

export const IMAGE_STORIES: readonly Story[] = [
  {
    name: 'build an image',
    ends: 'available',
    operations: { 'image.build': 'succeeded' },
    async tell(world) {
      await images.build(world.ctx, 'micro')
      await strandEnds(world, 'image_micro')
      return 'image_micro'
    },
  },
  {
    name: 'a task that dies is started again',
    ends: 'available',
    operations: { 'image.build': 'succeeded' },
    async tell(world) {
      world.tasks.endWith('vanished once')
      await images.build(world.ctx, 'micro')
      await strandEnds(world, 'image_micro')
      world.tasks.endWith('done')
      return 'image_micro'
    },
  },
  {
    name: 'a task that fails fails the operation and keeps the image that was there',
    ends: 'available',
    operations: { 'image.build': 'failed' },
    async tell(world) {
      await images.build(world.ctx, 'micro')
      await strandEnds(world, 'image_micro')
      await forgetOperations(world.db)
      world.tasks.endWith('failed')
      await images.build(world.ctx, 'micro')
      await strandEnds(world, 'image_micro')
      world.tasks.endWith('done')
      return 'image_micro'
    },
  },
]
