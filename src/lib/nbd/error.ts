/** The server refused, broke the protocol, or is gone. After `isOver` nothing more can be asked of it. */
export class NbdError extends Error {
  readonly isOver: boolean
  constructor(message: string, isOver: boolean, cause?: unknown) {
    super(message, { cause })
    this.name = 'NbdError'
    this.isOver = isOver
  }
}
