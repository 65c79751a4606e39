/**
 * What the end of a serial console's log says of a boot. Guests differ, so this knows the sentences of the usual ones:
 * Linux's panic, the emergency shells of systemd and of initramfs-tools, GRUB's and the firmware's complaints, and the
 * login prompt that getty shows when all is well. The guest wrote it: it is evidence about the guest and nothing else.
 */
export type BootSign = { kind: 'up'; detail: string } | { kind: 'broken'; detail: string } | { kind: 'nothing' }

const BROKEN: readonly RegExp[] = [
  /Kernel panic - not syncing[^\n]*/,
  /You are in emergency mode[^\n]*/i,
  /Entering emergency mode[^\n]*/i,
  /Give root password for maintenance[^\n]*/i,
  /Cannot open access to console, the root account is locked[^\n]*/i,
  /ALERT! [^\n]*does not exist[^\n]*/,
  /^\(initramfs\)[^\n]*/m,
  /grub rescue>/,
  /No bootable device[^\n]*/i,
  /micro: no disk with the root filesystem/,
]
const UP: readonly RegExp[] = [/^[^\n]*micro: ready[^\n]*/m, /^[^\n]{0,200}\blogin:[ \t]*$/m]

export function readBootLog(text: string): BootSign {
  const clean = plainText(text)
  for (const pattern of BROKEN) {
    const found = pattern.exec(clean)
    if (found) return { kind: 'broken', detail: found[0].trim().slice(0, 200) }
  }
  for (const pattern of UP) {
    const found = pattern.exec(clean)
    if (found) return { kind: 'up', detail: found[0].trim().slice(0, 200) }
  }
  return { kind: 'nothing' }
}

/** Without the sequences that move a cursor (ECMA-48), and without what no text holds. */
export const plainText = (text: string): string =>
  text
    .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])/g, '')
    .replace(/\r\n?/g, '\n')
    .replace(/[\x00-\x08\x0b-\x1f\x7f]/g, '')
