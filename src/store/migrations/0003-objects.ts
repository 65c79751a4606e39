/** Object storage: buckets, versions of objects, where their bytes lie, uploads in parts, and what is counted. */
export const name = '0003-objects'

export const sql = `
ALTER TABLE account
  ADD COLUMN quota_bytes bigint,                    -- of all its buckets, every version and part counted; null = none
  ADD COLUMN quota_objects bigint,
  ADD COLUMN quota_buckets int;
ALTER TABLE access_key
  ADD COLUMN is_read_only boolean NOT NULL DEFAULT false,
  ADD COLUMN buckets text[],                        -- the only ones it opens; null = all of the account's
  ADD COLUMN last_used_at timestamptz;
CREATE INDEX access_key_account ON access_key (account_id);

-- Every name that was ever a bucket's. A name that was given up is nobody's, or its last owner's again.
CREATE TABLE bucket_name (
  name text COLLATE "C" PRIMARY KEY,
  account_id text NOT NULL REFERENCES account,
  first_used_at timestamptz NOT NULL DEFAULT cloud_now(),
  released_at timestamptz                           -- null = there is such a bucket now
);
CREATE TABLE bucket (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  name text COLLATE "C" NOT NULL UNIQUE REFERENCES bucket_name,
  account_id text NOT NULL REFERENCES account,
  tier text NOT NULL DEFAULT 'standard',
  location text NOT NULL,
  versioning text NOT NULL DEFAULT 'off' CHECK (versioning IN ('off', 'enabled', 'suspended')),
  settings jsonb NOT NULL DEFAULT '{}',
  revision bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT cloud_now()
);
CREATE INDEX bucket_account ON bucket (account_id, name);

-- Also names bodies: a version's body has its seq, a part's body one of its own.
CREATE SEQUENCE object_seq;

-- No foreign key to the bucket: thousands of writers a second would share one row's lock. Writers hold the bucket's
-- advisory lock shared, those who change or delete the bucket hold it alone.
CREATE TABLE object_version (
  bucket_number bigint NOT NULL,
  key text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,                              -- the newest version of a key has the highest
  version_id text NOT NULL,                         -- 'null', or opaque
  is_latest boolean NOT NULL,
  is_delete_marker boolean NOT NULL DEFAULT false,
  size_bytes bigint NOT NULL,
  etag text NOT NULL,
  modified_at timestamptz NOT NULL,
  account_id text NOT NULL,
  storage_class text NOT NULL DEFAULT 'STANDARD',
  headers jsonb NOT NULL DEFAULT '{}',
  metadata jsonb NOT NULL DEFAULT '{}',
  tags jsonb NOT NULL DEFAULT '{}',
  checksum jsonb,
  acl jsonb,
  encryption jsonb,
  retain_mode text,
  retain_until timestamptz,
  legal_hold boolean NOT NULL DEFAULT false,
  part_count int,
  parts jsonb,                                      -- number, size, checksum of each; only read when asked for
  inline_body bytea,
  inline_key bytea,
  PRIMARY KEY (bucket_number, key, seq)
);
-- Bodies do not compress, or their client did it; and out of the row they do not slow down a listing.
ALTER TABLE object_version ALTER COLUMN inline_body SET STORAGE EXTERNAL;
-- What a listing walks: one entry a key, whatever lies beneath it.
CREATE INDEX object_listed ON object_version (bucket_number, key) WHERE is_latest AND NOT is_delete_marker;
-- The null version is the latest, or found here.
CREATE UNIQUE INDEX object_older_null ON object_version (bucket_number, key) WHERE version_id = 'null' AND NOT is_latest;

-- A file (or an object of the cluster): immutable, and there until no segment points at it.
CREATE TABLE blob (
  id uuid PRIMARY KEY,
  plain_bytes bigint NOT NULL,
  stored_bytes bigint NOT NULL,
  md5 bytea,                                        -- of the plain bytes, for the scrub
  wrapped_key bytea,                                -- null = not encrypted
  written_at timestamptz NOT NULL DEFAULT clock_timestamp()  -- real time, to compare with that of files
);
CREATE TABLE body_segment (
  body_id bigint NOT NULL,
  body_start bigint NOT NULL,
  blob_id uuid NOT NULL REFERENCES blob,
  blob_start bigint NOT NULL,
  length bigint NOT NULL CHECK (length > 0),
  PRIMARY KEY (body_id, body_start)
);
CREATE INDEX body_segment_blob ON body_segment (blob_id);
-- Blobs that lost a segment, each time they did: a log, so that nobody waits for another who releases the same blob.
-- The sweeper looks whether it was the last segment, and waits for those who still read.
CREATE TABLE released_blob (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  blob_id uuid NOT NULL,
  released_at timestamptz NOT NULL DEFAULT clock_timestamp()  -- real time, like that of those who read
);
-- One row per process that serves bodies: nothing released since its oldest read began is removed.
CREATE TABLE object_reader (
  process_id text PRIMARY KEY,
  oldest_read_at timestamptz,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE multipart_upload (
  id text PRIMARY KEY,                              -- unguessable
  bucket_number bigint NOT NULL,
  key text COLLATE "C" NOT NULL,
  account_id text NOT NULL,
  access_key_id text,
  started_at timestamptz NOT NULL DEFAULT cloud_now(),
  properties jsonb NOT NULL,
  checksum_algorithm text,
  checksum_type text,
  encryption jsonb,
  completed_at timestamptz,
  outcome jsonb                                     -- the answer of Complete, given again to whoever repeats it
);
CREATE INDEX multipart_upload_listed ON multipart_upload (bucket_number, key, started_at, id) WHERE completed_at IS NULL;
CREATE INDEX multipart_upload_completed ON multipart_upload (completed_at) WHERE completed_at IS NOT NULL;
CREATE TABLE upload_part (
  upload_id text NOT NULL REFERENCES multipart_upload ON DELETE CASCADE,
  part_number int NOT NULL CHECK (part_number BETWEEN 1 AND 10000),
  body_id bigint NOT NULL,
  size_bytes bigint NOT NULL,
  md5 bytea NOT NULL,
  etag text NOT NULL,
  checksum text,                                    -- algorithm:base64
  modified_at timestamptz NOT NULL DEFAULT cloud_now(),
  PRIMARY KEY (upload_id, part_number)
);

-- Counted in the transaction that changes what is counted. In shards, because the writers of a bucket do not wait for
-- one another; the integral over time is exact at every change.
CREATE TABLE bucket_usage (
  bucket_number bigint NOT NULL,
  shard int NOT NULL,
  objects bigint NOT NULL DEFAULT 0,                -- keys that a listing shows
  versions bigint NOT NULL DEFAULT 0,               -- rows: every version and delete marker
  bytes bigint NOT NULL DEFAULT 0,                  -- of all versions
  upload_bytes bigint NOT NULL DEFAULT 0,           -- of parts that are not yet an object
  byte_seconds numeric NOT NULL DEFAULT 0,          -- of the hour that counted_at lies in
  counted_at timestamptz NOT NULL DEFAULT cloud_now(),
  PRIMARY KEY (bucket_number, shard)
) WITH (fillfactor = 25);                           -- room to update in place
-- Raw material of the ledger: what each bucket held and moved in each hour.
CREATE TABLE bucket_hour (
  bucket_id text NOT NULL,
  hour timestamptz NOT NULL,
  account_id text NOT NULL,
  bucket_name text NOT NULL,
  tier text NOT NULL,
  byte_seconds numeric NOT NULL DEFAULT 0,
  read_requests bigint NOT NULL DEFAULT 0,
  write_requests bigint NOT NULL DEFAULT 0,
  bytes_in bigint NOT NULL DEFAULT 0,
  bytes_out bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (bucket_id, hour)
);
CREATE INDEX bucket_hour_account ON bucket_hour (account_id, hour);
`
