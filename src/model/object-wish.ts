/** What a client asks to be kept along with a body: read from headers or a form, before anybody judged it. */
import type { AclWish } from './acl.ts'
import type { Retention } from './object-lock.ts'
import type { Tags } from './tags.ts'

export interface ObjectWish {
  /** As ObjectProperties keeps them. */
  headers: Readonly<Record<string, string>>
  metadata: Readonly<Record<string, string>>
  storageClass: string
  /** Undefined = the request says nothing about it. */
  tags: Tags | undefined
  acl: AclWish | undefined
  retention: Retention | undefined
  legalHold: boolean | undefined
}
