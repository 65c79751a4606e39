import type * as catalog from '../../../services/catalog.ts'
import type * as contract from '../contract/images.ts'
import { type Item, time } from './common.ts'

type Image = Item<typeof catalog.images>

export const presentImage = (image: Image): contract.Image => ({
  id: image.id,
  number: image.number,
  name: image.name,
  family: image.family,
  version: image.version,
  isWindows: image.isWindows,
  minMemoryMib: image.minMemoryMib,
  minDiskGib: image.minDiskGib,
  builder: image.builder,
  state: image.state,
  stateReason: image.stateReason,
  digest: image.digest,
  virtualBytes: image.virtualBytes,
  fileBytes: image.fileBytes,
  updatedAt: time(image.updatedAt),
})
