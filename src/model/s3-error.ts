/**
 * The errors of the S3 protocol. Their codes are the words that every client and every engineer of the field knows, so
 * the services of object storage throw them as they are; other dialects read `code`, the cloud's own, like that of any
 * `CloudError`. Statuses and default messages: Amazon S3 API reference, "List of error codes".
 */
import { CloudError, type CloudErrorDetails, type ErrorCode } from './errors.ts'

type Row = readonly [status: number, code: ErrorCode, message: string]

export const S3_ERRORS = {
  AccessControlListNotSupported: [400, 'conflict', 'The bucket does not allow ACLs.'],
  AccessDenied: [403, 'forbidden', 'Access Denied'],
  AccessForbidden: [403, 'forbidden', 'CORSResponse: This CORS request is not allowed.'],
  AuthorizationHeaderMalformed: [400, 'unauthenticated', 'The authorization header you provided is not valid.'],
  AuthorizationQueryParametersError: [400, 'unauthenticated', 'The authorization query parameters are not valid.'],
  BadDigest: [400, 'invalid', 'The Content-MD5 or checksum you specified did not match what we received.'],
  BadRequest: [400, 'invalid', 'Bad Request'],
  BucketAlreadyExists: [
    409,
    'already_exists',
    'The requested bucket name is not available. The bucket namespace is shared by all users of the system. Select a different name and try again.',
  ],
  BucketAlreadyOwnedByYou: [
    409,
    'already_exists',
    'Your previous request to create the named bucket succeeded and you already own it.',
  ],
  BucketNotEmpty: [409, 'conflict', 'The bucket you tried to delete is not empty.'],
  ConditionalRequestConflict: [
    409,
    'conflict',
    'A conflicting operation occurred during the upload; fetch the ETag and try again.',
  ],
  EntityTooLarge: [400, 'too_large', 'Your proposed upload exceeds the maximum allowed size.'],
  EntityTooSmall: [400, 'invalid', 'Your proposed upload is smaller than the minimum allowed size.'],
  IllegalVersioningConfigurationException: [400, 'invalid', 'The versioning configuration is not valid.'],
  IncompleteBody: [400, 'invalid', 'The request body terminated unexpectedly.'],
  InternalError: [500, 'unavailable', 'We encountered an internal error. Please try again.'],
  InvalidAccessKeyId: [403, 'unauthenticated', 'The AWS access key ID you provided does not exist in our records.'],
  InvalidArgument: [400, 'invalid', 'Invalid Argument'],
  InvalidBucketAclWithObjectOwnership: [
    400,
    'invalid',
    'Bucket cannot have ACLs set with ObjectOwnership’s BucketOwnerEnforced setting.',
  ],
  InvalidBucketName: [400, 'invalid', 'The specified bucket is not valid.'],
  InvalidBucketState: [409, 'conflict', 'The request is not valid for the current state of the bucket.'],
  InvalidChunkSizeError: [400, 'invalid', 'The chunk size of the aws-chunked body is not valid.'],
  InvalidDigest: [400, 'invalid', 'The Content-MD5 you specified is not valid.'],
  InvalidEncryptionAlgorithmError: [
    400,
    'invalid',
    'The encryption request that you specified is not valid. The valid value is AES256.',
  ],
  InvalidLocationConstraint: [400, 'invalid', 'The specified location constraint is not valid.'],
  InvalidObjectState: [403, 'conflict', 'The operation is not valid for the current state of the object.'],
  InvalidPart: [
    400,
    'invalid',
    'One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not match the part’s entity tag.',
  ],
  InvalidPartNumber: [416, 'invalid', 'The requested partnumber is not satisfiable.'],
  InvalidPartOrder: [400, 'invalid', 'The list of parts was not in ascending order by part number.'],
  InvalidPolicyDocument: [400, 'invalid', 'The content of the form does not meet the conditions of the policy.'],
  InvalidRange: [416, 'invalid', 'The requested range is not satisfiable.'],
  InvalidRequest: [400, 'invalid', 'Invalid Request'],
  InvalidStorageClass: [400, 'invalid', 'The storage class you specified is not valid.'],
  InvalidTag: [400, 'invalid', 'The tag provided was not a valid tag.'],
  InvalidToken: [400, 'unauthenticated', 'The provided token is malformed or otherwise not valid.'],
  InvalidURI: [400, 'invalid', 'The specified URI could not be parsed.'],
  KeyTooLongError: [400, 'invalid', 'Your key is too long.'],
  MalformedACLError: [400, 'invalid', 'The ACL that you provided was not well formed or did not validate.'],
  MalformedPOSTRequest: [400, 'invalid', 'The body of your POST request is not well-formed multipart/form-data.'],
  MalformedPolicy: [400, 'invalid', 'This policy contains invalid Json'],
  MalformedTrailerError: [
    400,
    'invalid',
    'The request contained trailing data that was not well-formed or did not conform to our published schema.',
  ],
  MalformedXML: [
    400,
    'invalid',
    'The XML that you provided was not well formed or did not validate against our published schema.',
  ],
  MaxMessageLengthExceeded: [400, 'too_large', 'Your request was too large.'],
  MaxPostPreDataLengthExceeded: [
    400,
    'too_large',
    'Your POST request fields preceding the upload file were too large.',
  ],
  MetadataTooLarge: [400, 'too_large', 'Your metadata headers exceed the maximum allowed metadata size.'],
  MethodNotAllowed: [405, 'method_not_allowed', 'The specified method is not allowed against this resource.'],
  MissingContentLength: [411, 'invalid', 'You must provide the Content-Length HTTP header.'],
  MissingRequestBodyError: [400, 'invalid', 'Request body is empty.'],
  MissingSecurityHeader: [400, 'invalid', 'Your request was missing a required header.'],
  NoSuchBucket: [404, 'not_found', 'The specified bucket does not exist'],
  NoSuchBucketPolicy: [404, 'not_found', 'The bucket policy does not exist'],
  NoSuchCORSConfiguration: [404, 'not_found', 'The CORS configuration does not exist'],
  NoSuchConfiguration: [404, 'not_found', 'The specified configuration does not exist.'],
  NoSuchKey: [404, 'not_found', 'The specified key does not exist.'],
  NoSuchLifecycleConfiguration: [404, 'not_found', 'The lifecycle configuration does not exist'],
  NoSuchObjectLockConfiguration: [404, 'not_found', 'The specified object does not have an ObjectLock configuration'],
  NoSuchPublicAccessBlockConfiguration: [404, 'not_found', 'The public access block configuration was not found'],
  NoSuchTagSet: [404, 'not_found', 'The TagSet does not exist'],
  NoSuchUpload: [
    404,
    'not_found',
    'The specified multipart upload does not exist. The upload ID might be invalid, or the multipart upload might have been aborted or completed.',
  ],
  NoSuchVersion: [404, 'not_found', 'The specified version does not exist.'],
  NoSuchWebsiteConfiguration: [404, 'not_found', 'The specified bucket does not have a website configuration'],
  NotImplemented: [501, 'invalid', 'A header or query you provided implies functionality that is not implemented.'],
  NotModified: [304, 'conflict', 'Not Modified'],
  ObjectLockConfigurationNotFoundError: [404, 'not_found', 'Object Lock configuration does not exist for this bucket'],
  OperationAborted: [409, 'conflict', 'A conflicting conditional operation is in progress. Try again.'],
  OwnershipControlsNotFoundError: [404, 'not_found', 'The bucket ownership controls were not found'],
  PreconditionFailed: [412, 'conflict', 'At least one of the pre-conditions you specified did not hold'],
  QuotaExceeded: [403, 'quota_exceeded', 'The account has used up its storage quota.'],
  ReplicationConfigurationNotFoundError: [404, 'not_found', 'The replication configuration was not found'],
  RequestTimeTooSkewed: [
    403,
    'unauthenticated',
    'The difference between the request time and the server’s time is too large.',
  ],
  RequestTimeout: [
    400,
    'invalid',
    'Your socket connection to the server was not read from or written to within the timeout period.',
  ],
  ServerSideEncryptionConfigurationNotFoundError: [
    404,
    'not_found',
    'The server side encryption configuration was not found',
  ],
  ServiceUnavailable: [503, 'unavailable', 'Service is unable to handle the request. Try again.'],
  SignatureDoesNotMatch: [
    403,
    'unauthenticated',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  ],
  SlowDown: [503, 'rate_limited', 'Please reduce your request rate.'],
  TooManyBuckets: [400, 'quota_exceeded', 'You have attempted to create more buckets than allowed.'],
  UnexpectedContent: [400, 'invalid', 'This request contains unsupported content.'],
  UnresolvableGrantByEmailAddress: [400, 'invalid', 'The e-mail address you provided does not match any account.'],
  XAmzContentSHA256Mismatch: [
    400,
    'invalid',
    'The provided ’x-amz-content-sha256’ header does not match what was computed.',
  ],
} as const satisfies Record<string, Row>
export type S3ErrorCode = keyof typeof S3_ERRORS

export interface S3ErrorDetails extends CloudErrorDetails {
  /** Further elements of the <Error> document, in order: `Condition`, `ActualObjectSize`, `Region` … */
  elements?: Readonly<Record<string, string>>
  /** Headers that the answer carries besides the usual ones: `x-amz-delete-marker`, `Allow` … */
  headers?: Readonly<Record<string, string>>
}

export class S3Error extends CloudError {
  readonly s3Code: S3ErrorCode
  readonly status: number
  readonly elements: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>

  constructor(s3Code: S3ErrorCode, message?: string, details: S3ErrorDetails = {}) {
    const [status, code, usual] = S3_ERRORS[s3Code]
    super(code, message ?? usual, details)
    this.name = 'S3Error'
    this.s3Code = s3Code
    this.status = status
    this.elements = details.elements ?? {}
    this.headers = details.headers ?? {}
  }
}
