/** What forbids that a bucket is opened to everybody by mistake (S3 API, "PutPublicAccessBlock"). */
export interface PublicAccessBlock {
  blockPublicAcls: boolean
  ignorePublicAcls: boolean
  blockPublicPolicy: boolean
  restrictPublicBuckets: boolean
}
