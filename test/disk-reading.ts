/** Reads whole exports, for tests: by QEMU's own tools where they are served, so that our reader is not asked about itself. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { DiskExport } from '../src/drivers/compute/compute.ts'
import type { DiskReading } from '../src/drivers/compute/contract-exports.ts'

const STEP = 4 << 20
const OVERLAP = 64 // longer than any text that is looked for
const run = promisify(execFile)

export async function readDisk({ source, diskBytes }: DiskExport, texts: readonly string[]): Promise<DiskReading> {
  if (source.kind === 'file') return readOnce(source.path, source.extents, texts)
  const folder = await mkdtemp(join(tmpdir(), 'disk-reading-'))
  try {
    const copy = join(folder, 'copy.raw')
    await copyDisk({ source }, copy)
    return await readOnce(copy, [{ offset: 0, length: diskBytes }], texts)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function readOnce(
  file: string,
  extents: readonly { offset: number; length: number }[],
  texts: readonly string[],
): Promise<DiskReading> {
  const hash = createHash('sha256')
  const found = new Set<string>()
  const buffer = Buffer.alloc(STEP)
  const zeros = Buffer.alloc(STEP)
  let rest = Buffer.alloc(0)
  const handle = await open(file)
  try {
    for (const { offset, length } of extents) {
      for (let at = offset; at < offset + length; at += STEP) {
        const { bytesRead } = await handle.read(buffer, 0, Math.min(STEP, offset + length - at), at)
        const piece = buffer.subarray(0, bytesRead)
        if (piece.equals(zeros.subarray(0, bytesRead))) continue
        hash.update(`${at} `).update(piece)
        const window = Buffer.concat([rest, piece])
        for (const text of texts) if (window.includes(text)) found.add(text)
        rest = window.subarray(-OVERLAP)
      }
    }
  } finally {
    await handle.close()
  }
  return { digest: hash.digest('hex'), found: texts.filter((text) => found.has(text)) }
}

/** What changed since the mark, by the map that the export tells; null when it tells none. */
export async function changedRanges({ source }: DiskExport): Promise<{ offset: number; length: number }[] | null> {
  if (source.kind === 'file' || source.dirtyBitmap === null) return null
  const from = `driver=nbd,export=${source.exportName},server.type=unix,server.path=${source.socket},x-dirty-bitmap=${source.dirtyBitmap}`
  const { stdout } = await run('qemu-img', ['map', '--output=json', '--image-opts', from])
  const extents = JSON.parse(stdout) as { start: number; length: number; data: boolean }[]
  // With `x-dirty-bitmap` a dirty extent is shown as one without data (QEMU, qapi/block-core.json, BlockdevOptionsNbd).
  return extents.filter(({ data }) => !data).map(({ start, length }) => ({ offset: start, length }))
}

/** The whole of a served export in a raw file. */
export async function copyDisk({ source }: Pick<DiskExport, 'source'>, file: string): Promise<void> {
  if (source.kind === 'file') throw new Error('it is a file already')
  const from = `driver=nbd,export=${source.exportName},server.type=unix,server.path=${source.socket}`
  await run('qemu-img', ['convert', '--image-opts', from, '-O', 'raw', file], { timeout: 120_000 })
}
