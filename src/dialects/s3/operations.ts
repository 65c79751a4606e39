/** Every operation that this server has; a group of them has a file. */
import { listObjects, listObjectsV2, listObjectVersions } from './listing.ts'
import type { Operation } from './operation.ts'
import { serviceOperations } from './service.ts'

export const operations: readonly Operation[] = [...serviceOperations, listObjects, listObjectsV2, listObjectVersions]
