/** Writes a cpio archive in the "newc" form that Linux takes as an initramfs (kernel: early-userspace/buffer-format). */
export interface CpioEntry {
  path: string
  /** With the file type, for example 0o100755 for a program, 0o040755 for a folder, 0o120777 for a symbolic link. */
  mode: number
  /** What is in the file, or where the link points. */
  content?: string | Uint8Array
}

/** Everything belongs to root, whoever writes it. Parents must come before what is in them. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  return Buffer.concat([...entries, { path: 'TRAILER!!!', mode: 0 }].flatMap((entry, i) => record(entry, i + 1)))
}

function record({ path, mode, content = '' }: CpioEntry, inode: number): Buffer[] {
  const bytes = Buffer.from(content)
  const name = Buffer.from(`${path}\0`)
  // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), length of the name, checksum
  const fields = [inode, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length, 0]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return [header, name, padding(header.length + name.length), bytes, padding(bytes.length)]
}

const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4)
