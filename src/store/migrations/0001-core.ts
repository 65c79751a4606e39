/** The core: who asks, what there is to buy, the machines, the addresses, and the durable work. */
export const name = '0001-core'

export const sql = `
-- The one clock of services and strands: the database's, plus an offset that only tests set.
CREATE TABLE clock (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  time_offset interval NOT NULL DEFAULT '0'
);
INSERT INTO clock DEFAULT VALUES;
CREATE FUNCTION cloud_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
  AS 'SELECT clock_timestamp() + (SELECT time_offset FROM clock)';

-- Facts about this installation that are decided once: address blocks, first start, compute driver.
CREATE TABLE setting (key text PRIMARY KEY, value jsonb NOT NULL);

CREATE TABLE account (
  id text PRIMARY KEY,
  uuid uuid NOT NULL UNIQUE,
  number bigint GENERATED ALWAYS AS IDENTITY (START WITH 10001) UNIQUE,
  email text NOT NULL,
  name text NOT NULL,
  is_operator boolean NOT NULL DEFAULT false,
  console_password_hash text,
  credit_minor bigint,                              -- null = unlimited
  suspended_reason text,
  created_at timestamptz NOT NULL DEFAULT cloud_now()
);
CREATE UNIQUE INDEX account_email ON account (lower(email));

CREATE TABLE api_key (
  id text PRIMARY KEY,
  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,
  name text NOT NULL,
  service text NOT NULL,
  key_id text NOT NULL UNIQUE,                      -- the part of the key's text that finds the row
  secret_sha256 bytea NOT NULL,                     -- of the whole text
  scopes text[] NOT NULL,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT cloud_now()
);
CREATE INDEX api_key_account ON api_key (account_id);

-- S3 signatures need the secret itself, so it is sealed with the installation's key instead of hashed.
CREATE TABLE access_key (
  access_key_id text PRIMARY KEY,
  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,
  name text NOT NULL,
  secret_sealed bytea NOT NULL,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT cloud_now()
);

CREATE TABLE region (
  id text PRIMARY KEY,
  position int NOT NULL,
  name text NOT NULL,
  country text NOT NULL,
  city text NOT NULL,
  aliases text[] NOT NULL,
  retired boolean NOT NULL DEFAULT false
);
CREATE TABLE plan (
  id text PRIMARY KEY,
  number bigint NOT NULL UNIQUE,
  position int NOT NULL,
  name text NOT NULL,
  vcpus int NOT NULL,
  memory_mib int NOT NULL,
  disk_gib int NOT NULL,
  traffic_tb double precision NOT NULL,
  price_monthly_minor bigint NOT NULL,
  currency text NOT NULL,
  retired boolean NOT NULL DEFAULT false
);
CREATE TABLE image (
  id text PRIMARY KEY,
  number bigint NOT NULL UNIQUE,
  position int NOT NULL,
  name text NOT NULL,
  family text NOT NULL,
  version text NOT NULL,
  is_windows boolean NOT NULL,
  min_memory_mib int NOT NULL,
  min_disk_gib int NOT NULL,
  builder text,
  retired boolean NOT NULL DEFAULT false,
  state text NOT NULL DEFAULT 'absent' CHECK (state IN ('absent', 'building', 'importing', 'available', 'failed')),
  state_reason text,
  digest text,                                      -- sha256 of our own qcow2 file; null on a simulator
  virtual_bytes bigint,
  file_bytes bigint,
  source jsonb,
  updated_at timestamptz NOT NULL DEFAULT cloud_now()
);

CREATE TABLE host (
  id text PRIMARY KEY,
  name text NOT NULL,
  region_id text NOT NULL REFERENCES region,
  driver text NOT NULL,
  is_online boolean NOT NULL DEFAULT true,
  vcpus int,                                        -- that may be sold (cores x ratio); null = unlimited
  memory_mib int,
  disk_bytes bigint,
  disk_free_bytes bigint,
  disk_high_water double precision NOT NULL DEFAULT 0.9,
  boot_slots int,                                   -- boots at once; null = unlimited
  facts jsonb NOT NULL DEFAULT '{}',
  seen_at timestamptz NOT NULL DEFAULT cloud_now()
);

CREATE TABLE instance (
  id text PRIMARY KEY,
  uuid uuid NOT NULL UNIQUE,
  number bigint GENERATED ALWAYS AS IDENTITY (START WITH 10001) UNIQUE,
  account_id text NOT NULL REFERENCES account,
  region_id text NOT NULL REFERENCES region,
  plan_id text NOT NULL REFERENCES plan,
  image_id text NOT NULL REFERENCES image,
  host_id text REFERENCES host,
  name text NOT NULL,                               -- what people call it
  hostname text NOT NULL,
  vcpus int NOT NULL,
  memory_mib int NOT NULL,
  disk_gib int NOT NULL,
  image_digest text,                                -- pinned when the disk is made
  mac macaddr NOT NULL UNIQUE,
  ssh_port int,                                     -- on the host's loopback, where instances have no route
  ssh_keys text[] NOT NULL DEFAULT '{}',
  password_hash text,                               -- crypt(3); dropped after first boot

  state text NOT NULL DEFAULT 'provisioning' CHECK (state IN ('provisioning', 'stopped', 'starting', 'running',
    'stopping', 'rebooting', 'rebuilding', 'restoring', 'failed', 'deleting', 'deleted')),
  state_reason text,
  state_changed_at timestamptz NOT NULL DEFAULT cloud_now(),
  suspended_reason text,
  desired_power text NOT NULL DEFAULT 'on' CHECK (desired_power IN ('on', 'off')),
  generation int NOT NULL DEFAULT 1,                -- a rebuild counts it up; first-boot work runs once a generation
  delete_requested_at timestamptz,
  purge_at timestamptz,                             -- until then a deleted instance can be recovered
  crash_count int NOT NULL DEFAULT 0,
  crashed_at timestamptz,

  created_at timestamptz NOT NULL DEFAULT cloud_now(),
  provisioned_at timestamptz,                       -- first SSH banner
  started_at timestamptz,                           -- vCPUs of the present run
  updated_at timestamptz NOT NULL DEFAULT cloud_now()
);
CREATE INDEX instance_account ON instance (account_id, number) WHERE delete_requested_at IS NULL;
CREATE INDEX instance_host ON instance (host_id);
CREATE UNIQUE INDEX instance_ssh_port ON instance (host_id, ssh_port) WHERE ssh_port IS NOT NULL;

-- The latest measurement of an instance. Traffic counters only grow: a reset of the interface's own is seen and bridged.
CREATE TABLE instance_stats (
  instance_id text PRIMARY KEY REFERENCES instance ON DELETE CASCADE,
  measured_at timestamptz NOT NULL,
  cpu_percent double precision,                     -- of all its vCPUs together
  memory_used_bytes bigint,
  memory_total_bytes bigint,
  disk_used_bytes bigint,
  disk_total_bytes bigint,
  network_in_bytes bigint,                          -- since creation
  network_out_bytes bigint,
  network_in_raw bigint,                            -- of the interface of the present run
  network_out_raw bigint
);

CREATE TABLE address_pool (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  family int NOT NULL CHECK (family IN (4, 6)),
  cidr cidr NOT NULL UNIQUE,
  region_id text REFERENCES region,
  next_offset bigint NOT NULL DEFAULT 16,           -- the first ones stay free for gateways and services
  retired boolean NOT NULL DEFAULT false
);
CREATE TABLE ip_address (
  address inet PRIMARY KEY,
  pool_id bigint NOT NULL REFERENCES address_pool,
  family int NOT NULL,
  instance_id text REFERENCES instance,             -- null = released
  allocated_at timestamptz NOT NULL DEFAULT cloud_now(),
  quarantined_until timestamptz                     -- set at release: nobody else gets it before
);
CREATE INDEX ip_address_instance ON ip_address (instance_id);
CREATE INDEX ip_address_free ON ip_address (pool_id, quarantined_until) WHERE instance_id IS NULL;

CREATE TABLE operation (
  id text PRIMARY KEY,
  uuid uuid NOT NULL UNIQUE,
  number bigint GENERATED ALWAYS AS IDENTITY (START WITH 10001) UNIQUE,
  account_id text REFERENCES account,
  kind text NOT NULL,
  resource_id text NOT NULL,                        -- of the instance, the image …
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'cancelled')),
  progress_percent int,                             -- null = not measurable
  message text,
  error_code text,
  request_id text,
  created_at timestamptz NOT NULL DEFAULT cloud_now(),
  started_at timestamptz,
  finished_at timestamptz
);
-- One open operation per resource: a second one is a conflict.
CREATE UNIQUE INDEX operation_open ON operation (resource_id) WHERE state IN ('pending', 'running');
CREATE INDEX operation_resource ON operation (resource_id, created_at);
CREATE INDEX operation_account ON operation (account_id, created_at);

CREATE TABLE strand (
  id text PRIMARY KEY,                              -- of the resource it works for
  kind text NOT NULL,
  step text NOT NULL,
  host_id text,                                     -- only that host's worker leases it
  state jsonb NOT NULL DEFAULT '{}',                -- the strand's own memory between steps
  intents text[] NOT NULL DEFAULT '{}',
  wake_at timestamptz NOT NULL DEFAULT cloud_now(),
  wakes bigint NOT NULL DEFAULT 0,                  -- counts wakes, so that a nap cannot swallow one
  lease_token bigint NOT NULL DEFAULT 0,
  leased_by text,
  leased_until timestamptz,
  tries int NOT NULL DEFAULT 0,
  last_error text,
  step_entered_at timestamptz NOT NULL DEFAULT cloud_now(),
  deadline_at timestamptz
);
CREATE INDEX strand_due ON strand (wake_at);
CREATE INDEX strand_leased ON strand (leased_by) WHERE leased_by IS NOT NULL;

CREATE TABLE incident (
  id text PRIMARY KEY,
  number bigint GENERATED ALWAYS AS IDENTITY (START WITH 10001) UNIQUE,
  strand_id text NOT NULL,
  kind text NOT NULL,                               -- deadline, crash-loop …
  step text,
  message text NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT cloud_now(),
  resolved_at timestamptz,
  resolution text
);
CREATE UNIQUE INDEX incident_open ON incident (strand_id, kind) WHERE resolved_at IS NULL;

-- What happened, in commit order, for those who watch. Pruned; the audit below is the record.
CREATE TABLE event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at timestamptz NOT NULL DEFAULT cloud_now(),
  account_id text,
  kind text NOT NULL,
  resource_id text NOT NULL,
  data jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX event_order ON event (xid, id);

CREATE TABLE audit (
  id text PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT cloud_now(),
  account_id text,
  api_key_id text,
  address inet,
  request_id text NOT NULL,
  dialect text NOT NULL,
  method text NOT NULL,
  path text NOT NULL,
  resource_id text,
  status int NOT NULL,
  error_code text
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_account ON audit (account_id, at);

CREATE TABLE idempotency (
  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,
  key text NOT NULL,
  request_sha256 bytea NOT NULL,                    -- of method, path and body
  status int,
  headers jsonb,
  body text,
  created_at timestamptz NOT NULL DEFAULT cloud_now(),
  PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);
`
