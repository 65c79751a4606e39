/** Snapshots, backups, their policies and receipts. Times are the cloud's. */
export const name = '0010-backups'

export const sql = `
-- A moment of a disk, inside the disk's own file. The row is there as long as the snapshot is.
CREATE TABLE snapshot (
  id text PRIMARY KEY,                              -- its tag in the disk's file
  uuid uuid NOT NULL UNIQUE,
  number bigint GENERATED ALWAYS AS IDENTITY (START WITH 10001) UNIQUE,
  account_id text NOT NULL REFERENCES account,
  instance_id text NOT NULL REFERENCES instance,
  generation int NOT NULL,                          -- of the disk that it lies in
  name text NOT NULL,
  description text,
  has_memory boolean NOT NULL,
  state text NOT NULL DEFAULT 'creating' CHECK (state IN ('creating', 'ready', 'reverting', 'deleting', 'failed')),
  state_reason text,
  reverts_memory boolean NOT NULL DEFAULT false,    -- the rollback under way takes the memory back too
  disk_bytes bigint,                                -- an estimate: how much the disk's file grew since the one before
  memory_bytes bigint,                              -- of the saved memory; 0 without, null until measured
  created_at timestamptz NOT NULL DEFAULT cloud_now(),
  taken_at timestamptz
);
CREATE INDEX snapshot_instance ON snapshot (instance_id, number);

-- 32 random bytes an account, sealed with the master key; what its chunks are named and encrypted with follows from them.
CREATE TABLE backup_key (
  account_id text PRIMARY KEY REFERENCES account,
  sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT cloud_now()
);

CREATE TABLE backup_policy (
  instance_id text PRIMARY KEY REFERENCES instance,
  enabled boolean NOT NULL,
  frequency text NOT NULL CHECK (frequency IN ('daily', 'weekly')),
  day_of_week text NOT NULL,
  time text NOT NULL,                               -- HH:MM, UTC
  retention_days int NOT NULL CHECK (retention_days IN (7, 14, 30)),
  next_at timestamptz,                              -- the next firing; null while disabled
  last_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT cloud_now()
);
CREATE INDEX backup_policy_due ON backup_policy (next_at) WHERE enabled;

CREATE TABLE backup (
  id text PRIMARY KEY,
  uuid uuid NOT NULL UNIQUE,
  number bigint GENERATED ALWAYS AS IDENTITY (START WITH 10001) UNIQUE,
  short_id text NOT NULL UNIQUE,                    -- bk-9k2m4x7q
  account_id text NOT NULL REFERENCES account,
  instance_id text NOT NULL REFERENCES instance,
  host_id text REFERENCES host,                     -- whose worker makes it
  kind text NOT NULL CHECK (kind IN ('manual', 'automatic')),
  label text,
  policy_due_at timestamptz,                        -- the firing of the policy that made it
  state text NOT NULL DEFAULT 'creating' CHECK (state IN ('creating', 'completed', 'failed', 'deleted')),
  state_reason text,
  origin jsonb NOT NULL,                            -- the instance as it was: what a new one is made from
  consistency text CHECK (consistency IN ('off', 'filesystem', 'crash')),
  consistency_reason text,
  frozen_ms int,                                    -- how long the guest stood still; null when it did not
  disk_bytes bigint,                                -- of the disk as the guest sees it
  data_bytes bigint,                                -- of the chunks that are not holes
  read_bytes bigint,                                -- what had to be read of the disk
  stored_bytes bigint,                              -- all its chunks and its manifest, as they lie in the store
  added_bytes bigint,                               -- of these, what came with it
  manifest_blob_id uuid REFERENCES blob,
  chunks bigint[],                                  -- numbers of its chunks in the order of the disk, 0 = hole
  created_at timestamptz NOT NULL DEFAULT cloud_now(),
  point_at timestamptz,                             -- the moment that it shows
  completed_at timestamptz,
  expires_at timestamptz,
  deleted_at timestamptz,
  damaged_at timestamptz,                           -- something that it is made of was found spoilt or gone
  damage text                                       -- what, for people
);
CREATE UNIQUE INDEX backup_creating ON backup (instance_id) WHERE state = 'creating';
CREATE UNIQUE INDEX backup_firing ON backup (instance_id, policy_due_at) WHERE policy_due_at IS NOT NULL;
CREATE INDEX backup_instance ON backup (instance_id, number) WHERE state <> 'deleted';
CREATE INDEX backup_account ON backup (account_id, number) WHERE state <> 'deleted';
CREATE INDEX backup_deleted ON backup (account_id)
  WHERE state = 'deleted' AND (chunks IS NOT NULL OR manifest_blob_id IS NOT NULL);
CREATE INDEX backup_manifest ON backup (manifest_blob_id) WHERE manifest_blob_id IS NOT NULL;

-- 4 MiB of some disks of an account, compressed and encrypted, as one blob. The same digest may be there twice, when two
-- backups brought it at once. What no backup shows any more is noted first and goes later.
CREATE TABLE backup_chunk (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id text NOT NULL REFERENCES account,
  digest bytea NOT NULL,                            -- HMAC-SHA-256 of the plain bytes
  blob_id uuid NOT NULL UNIQUE REFERENCES blob,
  stored_bytes int NOT NULL,
  unreferenced_at timestamptz,
  damaged_at timestamptz                            -- no later backup is made of it
);
CREATE INDEX backup_chunk_account ON backup_chunk (account_id, digest);
CREATE INDEX backup_chunk_unreferenced ON backup_chunk (account_id, unreferenced_at) WHERE unreferenced_at IS NOT NULL;

-- One restore of a backup into a machine of its own, and what was seen.
CREATE TABLE receipt (
  id text PRIMARY KEY,
  uuid uuid NOT NULL UNIQUE,
  number bigint GENERATED ALWAYS AS IDENTITY (START WITH 10001) UNIQUE,
  backup_id text NOT NULL REFERENCES backup,
  account_id text NOT NULL REFERENCES account,
  host_id text REFERENCES host,
  machine_id text NOT NULL UNIQUE,                  -- the driver knows the machine by it; no instance has it
  is_scheduled boolean NOT NULL,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'passed', 'failed')),
  state_reason text,
  consistency text,
  restored_bytes bigint,                            -- of data that were written
  restore_ms int,
  boot_ms int,
  checks jsonb NOT NULL DEFAULT '[]',
  serial_tail text,
  screenshot bytea,                                 -- PNG
  started_at timestamptz NOT NULL DEFAULT cloud_now(),
  finished_at timestamptz
);
CREATE UNIQUE INDEX receipt_running ON receipt (backup_id) WHERE state = 'running';
CREATE INDEX receipt_backup ON receipt (backup_id, number);

ALTER TABLE instance
  ADD COLUMN source_backup_id text REFERENCES backup,  -- what its first disk comes from, instead of the image
  ADD COLUMN restore_backup_id text REFERENCES backup; -- what is being restored in place

-- An image that an account made of one of its backups: nobody else sees it. The catalogue's own have no account.
ALTER TABLE image ADD COLUMN account_id text REFERENCES account;
CREATE SEQUENCE image_own_number START WITH 100001;
CREATE INDEX image_account ON image (account_id, number) WHERE account_id IS NOT NULL;

-- Room for files of an instance, which it sends with rsync. The row goes when the files are gone.
CREATE TABLE rsync_account (
  instance_id text PRIMARY KEY REFERENCES instance,
  username bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000) UNIQUE, -- its module and its folder too
  password_sealed bytea NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  quota_bytes bigint NOT NULL DEFAULT 10737418240,
  used_bytes bigint,                                -- on the disk; null until measured
  measured_at timestamptz,
  released_at timestamptz,                          -- the instance was purged: the files go, then the row
  created_at timestamptz NOT NULL DEFAULT cloud_now()
);
`
