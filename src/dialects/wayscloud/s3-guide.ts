/** How to reach object storage with S3 clients, with this cloud's own endpoint and region. */
import { z } from 'zod'

interface Facts {
  endpoint: string
  region: string
}

export const Guide = z
  .object({
    protocol: z.literal('s3'),
    endpoint: z.string(),
    endpoint_url: z.string(),
    region: z.string(),
    signature_version: z.literal('v4'),
    addressing_style: z.literal('path'),
    credentials: z.string(),
    guide: z.string().describe('Markdown'),
  })
  .meta({ id: 'S3Guide' })

export const guide = (facts: Facts): z.infer<typeof Guide> => ({
  protocol: 's3',
  endpoint: facts.endpoint,
  endpoint_url: facts.endpoint,
  region: facts.region,
  signature_version: 'v4',
  addressing_style: 'path',
  credentials: '/v1/storage/credentials',
  guide: guideText(facts),
})

const guideText = ({ endpoint, region }: Facts): string => `# Object storage through the S3 protocol

Endpoint: ${endpoint} | Region: ${region} | Path-style addressing | Signature Version 4

Access key and secret come from \`GET /v1/storage/credentials\`.

## AWS CLI

\`\`\`sh
export AWS_ACCESS_KEY_ID=YOUR_ACCESS_KEY AWS_SECRET_ACCESS_KEY=YOUR_SECRET_KEY AWS_DEFAULT_REGION=${region}
aws --endpoint-url ${endpoint} s3 ls
aws --endpoint-url ${endpoint} s3 cp local.txt s3://your-bucket/remote.txt
aws --endpoint-url ${endpoint} s3 cp s3://your-bucket/remote.txt local.txt
\`\`\`

## Python (boto3)

\`\`\`python
import boto3
from botocore.config import Config

s3 = boto3.client('s3', endpoint_url='${endpoint}', region_name='${region}',
                  aws_access_key_id='YOUR_ACCESS_KEY', aws_secret_access_key='YOUR_SECRET_KEY',
                  config=Config(s3={'addressing_style': 'path'}))
for obj in s3.list_objects_v2(Bucket='your-bucket').get('Contents', []):
    print(obj['Key'])
\`\`\`

## JavaScript (AWS SDK v3)

\`\`\`js
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'

const s3 = new S3Client({
  endpoint: '${endpoint}',
  region: '${region}',
  forcePathStyle: true,
  credentials: { accessKeyId: 'YOUR_ACCESS_KEY', secretAccessKey: 'YOUR_SECRET_KEY' },
})
const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: 'your-bucket' }))
\`\`\`
`
