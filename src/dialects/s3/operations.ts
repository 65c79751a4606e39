/** Every operation that this server has; a group of them has a file. */

import { getObjectAttributes } from './attributes.ts'
import { createBucket, deleteBucket, getBucketLocation, headBucket, listBuckets } from './buckets.ts'
import { copyObject, uploadPartCopy } from './copy.ts'
import { listObjects, listObjectsV2, listObjectVersions } from './listing.ts'
import { multipartOperations } from './multipart.ts'
import { listMultipartUploads, listParts } from './multipart-listing.ts'
import { objectDeleteOperations } from './objects-delete.ts'
import { objectReadOperations } from './objects-read.ts'
import { objectWriteOperations } from './objects-write.ts'
import type { Operation } from './operation.ts'
import { postObject } from './post-form.ts'
import { settingsOperations } from './settings.ts'

export const operations: readonly Operation[] = [
  listBuckets,
  createBucket,
  headBucket,
  deleteBucket,
  getBucketLocation,
  ...settingsOperations,
  listObjects,
  listObjectsV2,
  listObjectVersions,
  ...objectReadOperations,
  ...objectWriteOperations,
  ...objectDeleteOperations,
  ...multipartOperations,
  uploadPartCopy,
  listParts,
  listMultipartUploads,
  copyObject,
  getObjectAttributes,
  postObject,
]
