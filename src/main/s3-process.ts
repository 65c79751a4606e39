/** How an S3 process is started, whoever starts it. */

/**
 * The young generation is kept small: nearly all that a request makes is dead by its end, while the default lets it grow
 * to three spaces of 16 MiB each. Measured with 400 slow bodies: 286 MiB resident instead of 355.
 */
export const S3_NODE_FLAGS = ['--max-semi-space-size=4']

/**
 * libuv's four file threads would have every reader wait behind four that sync. And glibc gives each thread a heap of
 * its own, which keeps what bodies once needed: measured, an upload of 100 MiB left 95 MiB behind with many heaps, half
 * of it with two.
 */
export const S3_ENVIRONMENT = { UV_THREADPOOL_SIZE: '16', MALLOC_ARENA_MAX: '2' }
