/** Every operation that this server has; a group of them has a file. */
import type { Operation } from './operation.ts'
import { serviceOperations } from './service.ts'

export const operations: readonly Operation[] = [...serviceOperations]
