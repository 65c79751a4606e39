export type { InstanceTraffic } from './contract/metrics.ts'
