/** `incident …`, `operation …`, `host list`, `audit list` */
import { type Args, type Cli, type Command, JSON_OPTION, WAIT_OPTIONS } from './command.ts'
import { ago, bytes, fields, json, table } from './output.ts'
import { follow } from './progress.ts'

const LIMIT_OPTION = { limit: { type: 'string', value: 'N', help: 'at most so many (default 100)' } } as const

const incidentList: Command = {
  name: 'incident list',
  summary: 'list what is stuck and waits for an operator',
  positionals: [],
  options: {
    state: { type: 'string', value: 'open|all', help: 'default open' },
    ...LIMIT_OPTION,
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const found = await cli.client.call('listIncidents', {
      query: { state: args.text('state'), limit: args.text('limit') },
    })
    const rows = found.items.map((it) => [
      it.number,
      it.kind,
      it.step,
      it.strandId,
      ago(it.openedAt, cli.now()),
      it.resolution ?? 'open',
      it.message,
    ])
    const head = ['NUMBER', 'KIND', 'STEP', 'OF', 'OPENED', 'STATE', 'MESSAGE']
    return printList(cli, args, found, head, rows, 'no incidents')
  },
}

const incidentRecover: Command = {
  name: 'incident recover',
  summary: 'give the stuck step a fresh start',
  positionals: ['ID'],
  options: JSON_OPTION,
  async run(cli, args) {
    const incident = await cli.client.call('recoverIncident', { id: args.at.ID! })
    cli.print(args.flag('json') ? json(incident) : `incident ${incident.number}: trying ${incident.strandId} again`)
    return undefined
  },
}

const operationList: Command = {
  name: 'operation list',
  summary: 'list operations, the newest first',
  positionals: [],
  options: {
    of: { type: 'string', value: 'ID', help: 'only those of that instance or image' },
    open: { type: 'boolean', help: 'only those that are not over' },
    all: { type: 'boolean', help: 'of every account (operators)' },
    ...LIMIT_OPTION,
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const found = await cli.client.call('listOperations', {
      query: {
        resourceId: args.text('of'),
        open: args.flag('open') ? 'true' : undefined,
        limit: args.text('limit'),
        all: args.flag('all') ? 'true' : undefined,
      },
    })
    const rows = found.items.map((it) => [
      it.id,
      it.kind,
      it.state,
      it.progressPercent === null ? null : `${it.progressPercent} %`,
      it.resourceId,
      ago(it.createdAt, cli.now()),
      it.message,
    ])
    return printList(cli, args, found, ['ID', 'KIND', 'STATE', 'DONE', 'OF', 'AGE', 'MESSAGE'], rows, 'no operations')
  },
}

const operationShow: Command = {
  name: 'operation show',
  summary: 'show an operation',
  positionals: ['ID'],
  options: { ...WAIT_OPTIONS, ...JSON_OPTION },
  async run(cli, args) {
    let operation = await cli.client.call('getOperation', { id: args.at.ID! })
    if (args.flag('wait')) operation = await follow(cli, operation, args)
    cli.print(args.flag('json') ? json(operation) : fields(Object.entries(operation)))
    return undefined
  },
}

const hostList: Command = {
  name: 'host list',
  summary: 'list the machines under the instances, with what is left on them',
  positionals: [],
  options: JSON_OPTION,
  async run(cli, args) {
    const found = await cli.client.call('listHosts')
    const of = (used: number | string, total: number | string | null) => `${used}/${total ?? 'unlimited'}`
    const rows = found.items.map((it) => [
      it.name,
      it.regionId,
      it.driver,
      it.isOnline ? 'online' : 'offline',
      it.instances,
      of(it.usedVcpus, it.vcpus),
      of(it.usedMemoryMib, it.memoryMib),
      it.diskBytes === null ? 'unlimited' : `${bytes(it.diskFreeBytes)} free of ${bytes(it.diskBytes)}`,
    ])
    const head = ['NAME', 'REGION', 'DRIVER', 'STATE', 'INSTANCES', 'VCPUS', 'MEMORY MIB', 'DISK']
    return printList(cli, args, found, head, rows, 'no hosts')
  },
}

const auditList: Command = {
  name: 'audit list',
  summary: 'list who changed what, the newest first',
  positionals: [],
  options: { all: { type: 'boolean', help: 'of every account (operators)' }, ...LIMIT_OPTION, ...JSON_OPTION },
  async run(cli, args) {
    const query = { limit: args.text('limit'), all: args.flag('all') ? 'true' : undefined }
    const found = await cli.client.call('listAudit', { query })
    const rows = found.items.map((it) => [
      it.at,
      it.dialect,
      it.method,
      it.path,
      it.status,
      it.errorCode,
      it.resourceId,
      it.address,
    ])
    const head = ['AT', 'DIALECT', 'METHOD', 'PATH', 'STATUS', 'ERROR', 'OF', 'FROM']
    return printList(cli, args, found, head, rows, 'nothing yet')
  },
}

function printList(
  cli: Cli,
  args: Args,
  found: unknown,
  head: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
  empty: string,
): undefined {
  if (args.flag('json')) cli.print(json(found))
  else cli.print(rows.length === 0 ? empty : table(head, rows))
}

export const operatorCommands: readonly Command[] = [
  incidentList,
  incidentRecover,
  operationList,
  operationShow,
  hostList,
  auditList,
]
