/** How an S3 process is started, whoever starts it. */

/**
 * Half the young generation that Node.js allows itself: nearly all that a request makes is dead by its end. Measured with
 * 200 slow bodies: 257 MiB resident. A quarter would save another 17, and have the collector take 12 % of a busy
 * process instead of 7.
 */
export const S3_NODE_FLAGS = ['--max-semi-space-size=8']

/**
 * libuv's four file threads would have every reader wait behind four that sync. And glibc gives each thread a heap of
 * its own, which keeps what bodies once needed: measured, an upload of 100 MiB left 95 MiB behind with many heaps, half
 * of it with two.
 */
export const S3_ENVIRONMENT = { UV_THREADPOOL_SIZE: '16', MALLOC_ARENA_MAX: '2' }
