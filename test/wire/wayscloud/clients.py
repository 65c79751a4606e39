"""What WAYSCloud's own clients send, in their manner: the Python SDK, its CLI, and the Terraform provider.

Arguments: base URL, key. Prints nothing; an assertion that fails ends it with a traceback.
"""
import sys
import time

import requests

base, key = sys.argv[1:]
session = requests.Session()
# The SDK puts any token that does not begin with wayscloud_api_ here, and follows redirects: there must be none.
session.headers.update({"Authorization": f"Bearer {key}", "Accept": "application/json"})


def call(method, path, want=200, **more):
    answer = session.request(method, base + path, timeout=30, **more)
    assert not answer.history, f"{path} was redirected"
    assert answer.status_code == want, f"{method} {path}: {answer.status_code} {answer.text}"
    assert answer.headers["content-type"].startswith("application/json"), path
    return answer.json()


def wait(vps_id, status, **more):
    for _ in range(600):
        vps = call("GET", f"/v1/vps/{vps_id}", **more)
        if vps["status"] == status:
            return vps
        time.sleep(0.05)
    raise AssertionError(f"{vps_id} is {vps['status']}, not {status}")


# The SDK: slashes at some ends, `vps_instances` alone is unwrapped, no body and no content type on actions.
created = call("POST", "/v1/vps", 201, json={
    "hostname": "sdk.example.net", "plan_code": "vps-2gb-1cpu", "region": "Norway", "os_template": "debian-12"})
assert created["status"] == "provisioning" and created["region"] == "oslo"
assert created["display_name"] == "sdk.example.net"
vps_id = created["id"]
assert vps_id in [vps["id"] for vps in call("GET", "/v1/vps/")["vps_instances"]]
wait(vps_id, "running")
assert [vps["id"] for vps in call("GET", "/v1/vps/", params={"status": "running", "region": " NO-OSLO-1 "})["vps_instances"]] == [vps_id]
assert call("GET", "/v1/vps/", params={"status": "stopped"})["vps_instances"] == []
assert call("GET", "/v1/vps/", params={"region": "sweden"})["total"] == 0
assert call("GET", "/v1/vps/", params={"region": "nowhere"})["total"] == 0
for path in ("/v1/vps/plans/", "/v1/vps/plans", "/v1/vps/plans/region/oslo", "/v1/vps/plans/region/NO/"):
    assert [plan["ram_mb"] // 1024 for plan in call("GET", path)] == [2, 4, 8], path
assert call("GET", "/v1/vps/plans/region/atlantis", 404) == {"detail": "Region not found"}
assert call("GET", "/v1/vps/os-templates/") == call("GET", "/v1/vps/os-templates")
assert call("GET", "/v1/vps/regions")[0]["code"] == "oslo"
assert call("POST", f"/v1/vps/{vps_id}/stop")["action"] == "stop"
busy = call("POST", f"/v1/vps/{vps_id}/start", 409)
assert isinstance(busy["detail"], str)
wait(vps_id, "stopped")
status = call("GET", f"/v1/vps/{vps_id}/status/")
assert status["uptime_seconds"] == 0 and status["memory_total_mb"] == 2048 and status["disk_total_gb"] == 40
call("POST", f"/v1/vps/{vps_id}/start/")
wait(vps_id, "running")

# Its snapshots: `snapshot_name` in the request, printed with `snapshot_name`, `status` and a slice of `created_at`.
call("POST", f"/v1/vps/{vps_id}/snapshots", 409, json={"snapshot_name": "running", "description": ""})
call("POST", f"/v1/vps/{vps_id}/stop")
wait(vps_id, "stopped")
taken = call("POST", f"/v1/vps/{vps_id}/snapshots", json={"snapshot_name": "before-migration", "description": ""})
assert taken == {"status": "created", "snapshot_name": "before-migration"}
listed = call("GET", f"/v1/vps/{vps_id}/snapshots")
assert [(one["snapshot_name"], one["status"], one["created_at"][:2]) for one in listed["snapshots"]] == [
    ("before-migration", "completed", "20")] and listed["max_snapshots"] == 10
assert call("POST", f"/v1/vps/{vps_id}/snapshots/before-migration/rollback")["status"] == "rolling_back"
assert call("DELETE", f"/v1/vps/{vps_id}/snapshots/before-migration")["status"] == "deleted"

# Its backups: no body anywhere, polled in the list, `message` and `download_url` printed, a policy read from `policy`.
backup = call("POST", f"/v1/vps/{vps_id}/backups")
assert backup["status"] == "started"
for _ in range(600):
    item = call("GET", f"/v1/vps/{vps_id}/backups")["backups"][0]
    assert item["backup_id"] == backup["backup_id"] and item["started_at"][:2] == "20"
    if item["status"] == "completed":
        break
    time.sleep(0.1)
assert item["status"] == "completed" and item["backup_type"] == "manual" and isinstance(item["size_gb"], (int, float))
link = call("GET", f"/v1/vps/{vps_id}/backups/{item['backup_id']}/download")
image = requests.get(link["download_url"], timeout=30)
assert image.content[:4] == b"QFI\xfb" and len(image.content) == link["size_bytes"]
assert isinstance(call("POST", f"/v1/vps/{vps_id}/backups/{item['backup_id']}/restore")["message"], str)
assert call("GET", f"/v1/vps/{vps_id}/backup-policy")["policy"] is None
policy = call("PUT", f"/v1/vps/{vps_id}/backup-policy", json={
    "enabled": True, "frequency": "weekly", "day_of_week": 6, "time_of_day": "03:00", "retention_days": 7})
assert policy["policy"]["day_of_week"] == 6 and policy["day_of_week"] == "sunday" and policy["next_backup_at"]
assert isinstance(call("DELETE", f"/v1/vps/{vps_id}/backup-policy"), dict)
assert call("GET", f"/v1/vps/{vps_id}/backup-usage")["total_backups"] == 1
for _ in range(600):
    answer = session.post(f"{base}/v1/vps/{vps_id}/start", timeout=30)
    assert answer.status_code in (200, 409), answer.text
    if answer.status_code == 200:
        break
    time.sleep(0.1)
wait(vps_id, "running")
assert call("DELETE", f"/v1/vps/{vps_id}/backups/{item['backup_id']}")["status"] == "deleted"

# The CLI, at login and whoami; a list of what is wrong is joined from each item's `msg`.
assert set(call("GET", "/api/v1/dashboard/account/profile")) == {"customer_id", "email", "name", "customer_type"}
wrong = call("POST", "/v1/vps", 422, json={"hostname": "x"})
assert [item["msg"] for item in wrong["detail"]] == ["Field required"] * 3
assert wrong["detail"][0]["input"] == {"hostname": "x"}

# The Terraform provider: a slash at the end of the create, a JSON content type on everything, and `active`.
terraform = {"headers": {"User-Agent": "terraform-provider-wayscloud/1.0", "Content-Type": "application/json"}}
machine = call("POST", "/v1/vps/", 201, data='{"hostname":"tf.example.net","plan_code":"vps-2gb-1cpu","region":"NO",'
               '"os_template":"debian-12","display_name":"tf"}', **terraform)
vps = wait(machine["id"], "active", **terraform)
assert call("GET", f"/v1/vps/{machine['id']}")["status"] == "running"
for field, kind in {"vcpu": int, "ram_mb": int, "disk_gb": int, "monthly_price": (int, float), "created_at": str,
                    "provider_vm_id": str, "ipv4_address": str, "plan_name": str, "currency": str}.items():
    assert isinstance(vps[field], kind), field
assert call("PATCH", f"/v1/vps/{machine['id']}", json={"display_name": "renamed"})["display_name"] == "renamed"
deleted = call("DELETE", f"/v1/vps/{machine['id']}", **terraform)
assert deleted == {"ok": True, "action": "delete", "vps_id": machine["id"]}
assert call("GET", f"/v1/vps/{machine['id']}", 404, **terraform) == {"detail": "VPS not found"}
regions = requests.get(base + "/v1/regions", timeout=30).json()
assert [region["code"] for region in regions["regions"] if "storage" in region["available_services"]] == ["oslo"]
assert regions["total"] == len(regions["regions"]) == 3
assert requests.get(base + "/v1/regions/Germany", timeout=30).json()["code"] == "frankfurt"
