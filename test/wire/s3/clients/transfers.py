"""Debian's boto3 against the S3 endpoint in argv: URL ACCESS_KEY SECRET_KEY REGION [CA_FILE]. Fails by exception."""
import hashlib
import os
import sys
import threading

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

url, access_key, secret_key, region = sys.argv[1:5]
ca_file = sys.argv[5] if len(sys.argv) > 5 else None
bucket = 'boto-' + url.split(':')[0]
s3 = boto3.client('s3', endpoint_url=url, aws_access_key_id=access_key, aws_secret_access_key=secret_key,
                  region_name=region, verify=ca_file)


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response['Error']['Code']
    return None


s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={'LocationConstraint': region})
assert bucket in [it['Name'] for it in s3.list_buckets()['Buckets']]
assert code_of(s3.create_bucket, Bucket=bucket, CreateBucketConfiguration={'LocationConstraint': region}) \
    == 'BucketAlreadyOwnedByYou'
assert s3.get_bucket_location(Bucket=bucket)['LocationConstraint'] == region

# Parts from several threads, both ways.
large = os.urandom(21_000_000)
with open('up.bin', 'wb') as file:
    file.write(large)
progress = []
config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=6)
s3.upload_file('up.bin', bucket, 'large/up.bin', ExtraArgs={'Metadata': {'sum': hashlib.sha256(large).hexdigest()}},
               Config=config, Callback=progress.append)
assert sum(progress) == len(large)
head = s3.head_object(Bucket=bucket, Key='large/up.bin')
assert head['ContentLength'] == len(large) and head['ETag'].endswith('-5"'), head
assert head['Metadata']['sum'] == hashlib.sha256(large).hexdigest()
s3.download_file(bucket, 'large/up.bin', 'down.bin', Config=config)
with open('down.bin', 'rb') as file:
    assert file.read() == large

# Small ones at once, among them an empty one and names that need care.
small = {f'small/{number:03} +&=%2F~æ': os.urandom(number * 97) for number in range(60)}


def put_some(keys):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=small[key], ContentType='x/y')


keys = list(small)
threads = [threading.Thread(target=put_some, args=(keys[first::4],)) for first in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
found = [it['Key'] for page in s3.get_paginator('list_objects_v2').paginate(
    Bucket=bucket, Prefix='small/', PaginationConfig={'PageSize': 17}) for it in page.get('Contents', [])]
assert found == sorted(keys, key=lambda key: key.encode()), found
for key, body in small.items():
    answer = s3.get_object(Bucket=bucket, Key=key)
    assert answer['Body'].read() == body and answer['ContentType'] == 'x/y', key
folders = [page.get('CommonPrefixes', []) for page in s3.get_paginator('list_objects').paginate(
    Bucket=bucket, Delimiter='/')]
assert [it['Prefix'] for page in folders for it in page] == ['large/', 'small/'], folders

# Parts that are copied, conditions, errors by their names.
upload = s3.create_multipart_upload(Bucket=bucket, Key='joined')['UploadId']
parts = []
for number, (first, last) in enumerate([(0, 5242879), (5242880, 9999999)], 1):
    part = s3.upload_part_copy(Bucket=bucket, Key='joined', UploadId=upload, PartNumber=number,
                               CopySource={'Bucket': bucket, 'Key': 'large/up.bin'},
                               CopySourceRange=f'bytes={first}-{last}')
    parts.append({'PartNumber': number, 'ETag': part['CopyPartResult']['ETag']})
s3.complete_multipart_upload(Bucket=bucket, Key='joined', UploadId=upload, MultipartUpload={'Parts': parts})
assert s3.get_object(Bucket=bucket, Key='joined')['Body'].read() == large[:10_000_000]
s3.copy({'Bucket': bucket, 'Key': 'large/up.bin'}, bucket, 'copied', Config=config)
assert s3.get_object(Bucket=bucket, Key='copied', Range='bytes=20999990-')['Body'].read() == large[-10:]
assert code_of(s3.get_object, Bucket=bucket, Key='nothing') == 'NoSuchKey'
assert code_of(s3.get_object, Bucket=bucket, Key='joined', IfMatch='"0"') == 'PreconditionFailed'
assert code_of(s3.get_object, Bucket='nobody-has-this', Key='x') == 'NoSuchBucket'
wrong = boto3.client('s3', endpoint_url=url, aws_access_key_id=access_key, aws_secret_access_key='wrong' * 8,
                     region_name=region, verify=ca_file)
assert code_of(wrong.list_objects_v2, Bucket=bucket) == 'SignatureDoesNotMatch'

every = [{'Key': it['Key']} for page in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket)
         for it in page['Contents']]
answer = s3.delete_objects(Bucket=bucket, Delete={'Objects': every, 'Quiet': True})
assert 'Errors' not in answer, answer
s3.delete_bucket(Bucket=bucket)
assert code_of(s3.head_bucket, Bucket=bucket) == '404'
