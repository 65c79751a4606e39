/** `status`: what runs, how the cloud is, and what waits for somebody. */
import type { Host } from '../dialects/native/contract/operator.ts'
import type { Status } from '../dialects/native/contract/status.ts'
import { type Cli, type Command, JSON_OPTION } from './command.ts'
import { CliError, EXIT } from './exit.ts'
import { ago, bar, bytes, fields, json } from './output.ts'

export const status: Command = {
  name: 'status',
  summary: 'show processes, API, host, instances, image builds and incidents; exit code 5 when it is not ready',
  positionals: [],
  options: JSON_OPTION,
  async run(cli, args) {
    const processes = cli.processes()
    const found = await ask(cli)
    if (args.flag('json')) cli.print(json({ processes, problem: found.problem, cloud: found.status }))
    else cli.print(face(cli, found))
    return found.status?.isReady ? undefined : EXIT.unreachable
  },
}

interface Found {
  status: Status | null
  problem: string | null
}

async function ask(cli: Cli): Promise<Found> {
  try {
    return { status: await cli.client.call('getStatus'), problem: null }
  } catch (error) {
    if (error instanceof CliError) return { status: null, problem: error.message }
    throw error
  }
}

function face(cli: Cli, { status: cloud, problem }: Found): string {
  const now = cli.now()
  const processes = cli
    .processes()
    .map(
      (it) =>
        [
          it.name,
          `process ${it.pid}, for ${ago(it.since, now)}${it.restarts > 0 ? `, started again ${it.restarts}x` : ''}`,
        ] as const,
    )
  const lines = [processes.length > 0 ? fields(processes) : 'no processes of this HAVN_HOME run']
  if (!cloud) return [...lines, '', problem ?? ''].join('\n')
  lines.push('', fields(cloudFields(cloud)))
  for (const host of cloud.hosts ?? []) lines.push('', fields(hostFields(host)))
  const builds = cloud.openOperations
  if (builds.length > 0) lines.push('', 'under way:')
  for (const it of builds) {
    const progress = it.progressPercent === null ? it.state : bar(it.progressPercent)
    lines.push(`  ${it.kind} ${it.resourceId} ${progress}${it.message ? ` ${it.message}` : ''}`)
  }
  return lines.join('\n')
}

function cloudFields(cloud: Status): (readonly [string, string | number | null])[] {
  const instances = Object.entries(cloud.instances).filter(([, count]) => count > 0)
  return [
    ['version', cloud.version],
    ['compute', cloud.compute],
    ['API', `${cloud.apiUrl} ${cloud.isReady ? 'ready' : `not ready: ${cloud.problems.join('; ')}`}`],
    ['S3', cloud.s3Url],
    ['instances', instances.map(([state, count]) => `${count} ${state}`).join(', ') || 'none'],
    ['open incidents', cloud.openIncidents ? `${cloud.openIncidents} (./havn incident list)` : cloud.openIncidents],
  ]
}

const NETWORK: Record<string, string> = {
  routed: 'routed: addresses answer from the host',
  user: 'user mode: only SSH, forwarded from a loopback port (Havn does not run as root)',
  none: 'none: simulated',
}

function hostFields(host: Host): (readonly [string, string | number | null])[] {
  const { network, accelerator, accel, ...others } = host.facts
  const known = Object.entries(others).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
  return [
    ['host', `${host.name} (${host.driver}, region ${host.regionId}) ${host.isOnline ? 'online' : 'offline'}`],
    ['acceleration', String(accelerator ?? accel ?? '-')],
    ['network', NETWORK[String(network)] ?? String(network ?? '-')],
    [
      'sold',
      `${host.usedVcpus}/${host.vcpus ?? 'unlimited'} vCPUs, ${host.usedMemoryMib}/${host.memoryMib ?? 'unlimited'} MiB memory`,
    ],
    ['disk', host.diskBytes === null ? 'unlimited' : `${bytes(host.diskFreeBytes)} free of ${bytes(host.diskBytes)}`],
    ...known.map(([name, value]) => [name, String(value)] as const),
  ]
}
