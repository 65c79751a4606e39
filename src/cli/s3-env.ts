/** The lines that point a well-known client at this cloud, ready to paste. Pure. */
import type { S3Credentials } from '../dialects/native/contract/access-keys.ts'

type Lines = (access: S3Credentials & { host: string; isSecure: boolean }) => string

export const S3_CLIENTS: Record<string, Lines> = {
  aws: ({ accessKeyId, secretAccessKey, region, s3Url }) => `export AWS_ACCESS_KEY_ID=${accessKeyId}
export AWS_SECRET_ACCESS_KEY=${secretAccessKey}
export AWS_DEFAULT_REGION=${region}
export AWS_ENDPOINT_URL=${s3Url}
# aws cli before 2.13 does not read AWS_ENDPOINT_URL: aws --endpoint-url ${s3Url} s3 ls
aws --endpoint-url ${s3Url} s3 ls`,

  boto3: ({ accessKeyId, secretAccessKey, region, s3Url }) => `import boto3
from botocore.config import Config

s3 = boto3.client('s3', endpoint_url='${s3Url}', region_name='${region}',
                  aws_access_key_id='${accessKeyId}',
                  aws_secret_access_key='${secretAccessKey}',
                  config=Config(s3={'addressing_style': 'path'}))
print([bucket['Name'] for bucket in s3.list_buckets()['Buckets']])`,

  javascript: ({
    accessKeyId,
    secretAccessKey,
    region,
    s3Url,
  }) => `import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'

const s3 = new S3Client({
  endpoint: '${s3Url}',
  region: '${region}',
  forcePathStyle: true,
  credentials: { accessKeyId: '${accessKeyId}', secretAccessKey: '${secretAccessKey}' },
})
console.log((await s3.send(new ListBucketsCommand({}))).Buckets)`,

  rclone: ({ accessKeyId, secretAccessKey, region, s3Url }) => `export RCLONE_CONFIG_HAVN_TYPE=s3
export RCLONE_CONFIG_HAVN_PROVIDER=Other
export RCLONE_CONFIG_HAVN_ENDPOINT=${s3Url}
export RCLONE_CONFIG_HAVN_REGION=${region}
export RCLONE_CONFIG_HAVN_ACCESS_KEY_ID=${accessKeyId}
export RCLONE_CONFIG_HAVN_SECRET_ACCESS_KEY=${secretAccessKey}
rclone lsd havn:`,

  restic: ({ accessKeyId, secretAccessKey, region, s3Url }) => `export AWS_ACCESS_KEY_ID=${accessKeyId}
export AWS_SECRET_ACCESS_KEY=${secretAccessKey}
export AWS_DEFAULT_REGION=${region}
export RESTIC_REPOSITORY=s3:${s3Url}/YOUR-BUCKET
export RESTIC_PASSWORD=choose-one-and-keep-it
restic init && restic backup /etc && restic check`,

  s3cmd: ({ accessKeyId, secretAccessKey, region, host, isSecure }) => `cat > ~/.s3cfg <<END
[default]
access_key = ${accessKeyId}
secret_key = ${secretAccessKey}
bucket_location = ${region}
host_base = ${host}
host_bucket = ${host}
use_https = ${isSecure ? 'True' : 'False'}
signature_v2 = False
END
s3cmd ls`,

  s3fs: ({
    accessKeyId,
    secretAccessKey,
    region,
    s3Url,
  }) => `umask 077; echo ${accessKeyId}:${secretAccessKey} > ~/.passwd-s3fs
s3fs YOUR-BUCKET /mnt -o passwd_file=~/.passwd-s3fs,url=${s3Url},endpoint=${region},use_path_request_style`,

  terraform: ({ accessKeyId, secretAccessKey, region, s3Url }) => `provider "aws" {
  access_key                  = "${accessKeyId}"
  secret_key                  = "${secretAccessKey}"
  region                      = "${region}"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  endpoints { s3 = "${s3Url}" }
}`,

  mc: ({ accessKeyId, secretAccessKey, s3Url }) =>
    `mc alias set havn ${s3Url} ${accessKeyId} ${secretAccessKey} --api S3v4 --path on
mc ls havn`,

  curl: ({ accessKeyId, secretAccessKey, region, s3Url }) =>
    `curl --aws-sigv4 aws:amz:${region}:s3 --user ${accessKeyId}:${secretAccessKey} \\
  -H "x-amz-content-sha256: $(printf '' | sha256sum | cut -d' ' -f1)" ${s3Url}/`,
}

export function envLines(client: string, access: S3Credentials): string | null {
  const url = new URL(access.s3Url)
  const lines = Object.hasOwn(S3_CLIENTS, client) ? S3_CLIENTS[client] : undefined
  return lines?.({ ...access, host: url.host, isSecure: url.protocol === 'https:' }) ?? null
}
