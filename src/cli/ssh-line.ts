/** Where an instance's SSH is, and the line a person types. */
import type { Instance } from '../dialects/native/contract/instances.ts'

export interface SshTarget {
  host: string
  port: number
}

/** Null while it has no address yet. */
export function sshTarget(instance: Pick<Instance, 'ipv4' | 'ipv6' | 'sshPort'>): SshTarget | null {
  if (instance.sshPort !== null) return { host: '127.0.0.1', port: instance.sshPort }
  const host = instance.ipv4 ?? instance.ipv6
  return host === null ? null : { host, port: 22 }
}

export function sshLine(target: SshTarget, keyFile: string): string {
  const port = target.port === 22 ? '' : `-p ${target.port} `
  return `ssh -i ${keyFile} ${port}root@${target.host}`
}
