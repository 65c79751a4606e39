"""What WAYSCloud's own clients send about storage, in their manner: the Python SDK, its CLI, and the Terraform provider.

Arguments: base URL, key. Prints nothing; an assertion that fails ends it with a traceback.
"""
import sys

import boto3
import requests
from botocore.config import Config

base, key = sys.argv[1:]
session = requests.Session()
session.headers.update({"Authorization": f"Bearer {key}", "Accept": "application/json"})


def call(method, path, want=200, **more):
    answer = session.request(method, base + path, timeout=30, **more)
    assert not answer.history, f"{path} was redirected"
    assert answer.status_code == want, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json()


# The SDK unwraps `buckets`; its CLI prints whichever spelling it finds.
created = call("POST", "/v1/storage/buckets", 201, json={"bucket_name": "sdk-bucket", "tier": "standard"})
assert created["success"] is True and created["bucket_name"] == "sdk-bucket"
assert [bucket["bucket_name"] for bucket in call("GET", "/v1/storage/buckets/")["buckets"]] == ["sdk-bucket"]
taken = call("POST", "/v1/storage/buckets", 409, json={"bucket_name": "sdk-bucket"})
assert isinstance(taken["detail"], str)
missing = call("POST", "/v1/storage/buckets", 422, json={})
assert [item["msg"] for item in missing["detail"]] == ["Field required"]
credentials = call("GET", "/v1/storage/credentials")
assert credentials["access_key"] == created["access_key"] and credentials["secret_key"] == created["secret_key"]

# What a dashboard shows is what the S3 protocol stored.
s3 = boto3.client("s3", endpoint_url=credentials["endpoint_url"], region_name=credentials["region"],
                  aws_access_key_id=credentials["access_key_id"],
                  aws_secret_access_key=credentials["secret_access_key"],
                  config=Config(s3={"addressing_style": "path"}))
s3.put_object(Bucket="sdk-bucket", Key="a", Body=b"x" * 1_000_000)
s3.put_object(Bucket="sdk-bucket", Key="b", Body=b"")
bucket = call("GET", "/v1/storage/buckets/sdk-bucket")
assert (bucket["size_bytes"], bucket["object_count"], bucket["total_objects"]) == (1_000_000, 2, 2), bucket
assert 0 < bucket["total_storage_gb"] < 0.001
call("DELETE", "/v1/storage/buckets/sdk-bucket", 409)

# The Terraform provider: every field it stores must be there, the tier as it was asked for; then keys of the bucket.
terraform = {"headers": {"User-Agent": "terraform-provider-wayscloud/1.0", "Content-Type": "application/json"}}
tiers = {tier["id"]: tier for tier in call("GET", "/v1/storage/tiers", **terraform)}
assert set(tiers) == {"standard", "enterprise"} and isinstance(tiers["standard"]["price_per_gb"], float)
made = call("POST", "/v1/storage/buckets", 201, data='{"bucket_name":"tf-bucket","tier":"enterprise","region":"no-oslo-1"}',
            **terraform)
assert made["tier"] == "enterprise" and made["region"] == "no-oslo-1" and made["access_key"] and made["secret_key"]
read = call("GET", "/v1/storage/buckets/tf-bucket", **terraform)
assert read["storage_tier"] == "enterprise" and read["is_active"] is True and isinstance(read["created_at"], str)
bucket_key = call("POST", "/v1/storage/buckets/tf-bucket/keys", 201, json={"name": "tf"}, **terraform)
assert bucket_key["id"] and bucket_key["access_key"] and bucket_key["secret_key"]
assert [it["id"] for it in call("GET", "/v1/storage/buckets/tf-bucket/keys")["keys"]] == [bucket_key["id"]]
call("DELETE", f"/v1/storage/buckets/tf-bucket/keys/{bucket_key['id']}", **terraform)
assert call("DELETE", "/v1/storage/buckets/tf-bucket", **terraform)["success"] is True
assert call("GET", "/v1/storage/buckets/tf-bucket", 404, **terraform) == {"detail": "Bucket not found"}
