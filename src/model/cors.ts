/** Cross-origin rules of a bucket (S3 API, "PutBucketCors"). */
export interface CorsRule {
  id?: string
  allowedOrigins: readonly string[]
  allowedMethods: readonly string[]
  allowedHeaders: readonly string[]
  exposeHeaders: readonly string[]
  maxAgeSeconds?: number
}
