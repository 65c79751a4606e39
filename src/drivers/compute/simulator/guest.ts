/**
 * What a simulated guest does when it boots follows from its disk, as it does in the world: a line of the disk's text
 * that is one of these words decides. So a machine that a backup was restored into behaves like the one it was taken of.
 */
import type { FilesystemReport, GuestReport } from '../compute.ts'

export const GUEST_WORDS = {
  /** The kernel panics. */
  panic: '!panic',
  /** No login shows and no agent answers. */
  silent: '!silent',
  /** A guest agent answers. */
  agent: '!agent',
  /** The file system has errors. */
  damaged: '!damaged',
  /** A file system that nothing here can check. */
  unknown: '!unknown-filesystem',
} as const
export type GuestWord = keyof typeof GUEST_WORDS

export const says = (content: string, word: GuestWord): boolean => content.split('\n').includes(GUEST_WORDS[word])

export const SILENT: GuestReport = { answers: false, os: null, uptimeSeconds: null }

export function filesystemsOf(content: string): FilesystemReport[] {
  if (says(content, 'unknown')) {
    return [{ partition: '1', type: null, outcome: 'unknown', detail: 'no file system that is known here' }]
  }
  return [
    says(content, 'damaged')
      ? { partition: '1', type: 'ext4', outcome: 'errors', detail: 'simulated: inode 12 is not sound' }
      : { partition: '1', type: 'ext4', outcome: 'clean', detail: 'simulated' },
  ]
}

/** One grey pixel: there is a screen, and nothing on it (PNG, W3C Recommendation of 2003). */
export const SCREEN = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==',
  'base64',
)
