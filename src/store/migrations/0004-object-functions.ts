/**
 * What changes objects, as functions of the database: a write is one round trip and one transaction, and its locks are
 * held for as long as the commit takes and no longer.
 *
 * Locks are taken in one order everywhere: rows of uploads, the bucket (shared; alone by those who change or delete
 * it), keys in the order of their lock numbers, the account (for its quota), the shard of the usage, hours. Every
 * statement of these functions sees what was committed before it began, so what is read under a key's lock is true.
 */
export const name = '0004-object-functions'

/** The spaces of advisory locks: (space, number) for buckets, as in bucket-lock.ts, and accounts; 64 bits of hash for keys. */
const BUCKET_LOCKS = 0x626b
const ACCOUNT_LOCKS = 0x6163
/** The columns of version_facts, of object_version v. */
const FACTS = `v.seq, v.version_id, v.is_latest, v.is_delete_marker, v.size_bytes, v.etag, v.retain_mode, v.retain_until,
      v.legal_hold, v.size_bytes > 0 AND v.inline_body IS NULL`

export const sql = `
-- Hours begin at the full hour of UTC, whatever zone a session is in.
CREATE FUNCTION hour_of(p_at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
  $$ SELECT date_bin('1 hour', p_at, '2000-01-01 00:00:00+00') $$;

-- A version's id shows neither its seq nor its order: 80 random bits, 48 of which hide the seq before them.
CREATE FUNCTION version_id_of(p_seq bigint, p_random text) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT lpad(to_hex(p_seq # ('x' || substr(p_random, 1, 12))::bit(48)::bigint), 12, '0') || p_random $$;

-- Brings a shard's integral up to now: hours that are over go to bucket_hour, each with its own part. With p_final also
-- the part of the running hour, and the shard goes: the bucket is being deleted.
CREATE FUNCTION close_usage(p_bucket bigint, p_shard int, p_now timestamptz, p_final boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  u bucket_usage;
  v_now timestamptz;
  v_rest numeric;
BEGIN
  SELECT * INTO u FROM bucket_usage WHERE bucket_number = p_bucket AND shard = p_shard FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  v_now := greatest(p_now, u.counted_at);
  IF hour_of(u.counted_at) = hour_of(v_now) AND NOT p_final THEN RETURN; END IF;
  INSERT INTO bucket_hour AS h (bucket_id, hour, account_id, bucket_name, tier, byte_seconds)
    SELECT b.id, hour, b.account_id, b.name, b.tier,
        CASE WHEN hour = hour_of(u.counted_at) THEN u.byte_seconds ELSE 0 END
        + (u.bytes + u.upload_bytes) * extract(epoch FROM
            least(hour + interval '1 hour', v_now) - greatest(hour, u.counted_at))
      FROM bucket b, generate_series(hour_of(u.counted_at), hour_of(v_now), interval '1 hour') hour
      WHERE b.number = p_bucket AND (p_final OR hour < hour_of(v_now))
        AND (hour = hour_of(u.counted_at) OR u.bytes + u.upload_bytes <> 0)
      ORDER BY hour
    ON CONFLICT (bucket_id, hour) DO UPDATE SET byte_seconds = h.byte_seconds + excluded.byte_seconds;
  IF p_final THEN
    DELETE FROM bucket_usage WHERE bucket_number = p_bucket AND shard = p_shard;
    RETURN;
  END IF;
  v_rest := (u.bytes + u.upload_bytes) * extract(epoch FROM v_now - hour_of(v_now));
  UPDATE bucket_usage SET byte_seconds = v_rest, counted_at = v_now WHERE bucket_number = p_bucket AND shard = p_shard;
END $$;

CREATE FUNCTION count_usage(p_bucket bigint, p_objects bigint, p_versions bigint, p_bytes bigint, p_upload_bytes bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  -- As cloud_now(), whose text would be parsed anew for every call.
  v_now timestamptz := clock_timestamp() + (SELECT time_offset FROM clock);
  v_shard int := pg_backend_pid() % 16;
BEGIN
  FOR attempt IN 1..2 LOOP
    UPDATE bucket_usage SET
      byte_seconds = byte_seconds
        + (bytes + upload_bytes) * extract(epoch FROM greatest(v_now, counted_at) - counted_at),
      counted_at = greatest(v_now, counted_at),
      objects = objects + p_objects, versions = versions + p_versions, bytes = bytes + p_bytes,
      upload_bytes = upload_bytes + p_upload_bytes
    WHERE bucket_number = p_bucket AND shard = v_shard AND counted_at >= hour_of(v_now);
    IF FOUND THEN RETURN; END IF;
    PERFORM close_usage(p_bucket, v_shard, v_now, false);
    INSERT INTO bucket_usage (bucket_number, shard, counted_at) VALUES (p_bucket, v_shard, v_now)
      ON CONFLICT (bucket_number, shard) DO NOTHING;
  END LOOP;
  RAISE EXCEPTION 'usage of bucket % could not be counted', p_bucket;
END $$;

-- What an account holds, of what its quota counts.
CREATE FUNCTION held_by(p_account text, OUT held_bytes numeric, OUT held_versions numeric) LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(u.bytes + u.upload_bytes), 0), coalesce(sum(u.versions), 0)
    FROM bucket b JOIN bucket_usage u ON u.bucket_number = b.number WHERE b.account_id = p_account
$$;

-- Whether an account may not hold so much more. Exact, though small writes far below the quota do not wait for one
-- another: all that run at once, one a connection, cannot fill its last tenth; and whoever writes much, or comes near,
-- waits until the others have committed, and they for him.
CREATE FUNCTION exceeds_quota(p_account text, p_quota_bytes bigint, p_quota_versions bigint, p_bytes bigint,
  p_versions bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_lock int := hashtext(p_account);
  v_writers bigint := current_setting('max_connections')::bigint;
  held record;
BEGIN
  p_quota_bytes := coalesce(p_quota_bytes, 9223372036854775807);
  p_quota_versions := coalesce(p_quota_versions, 9223372036854775807);
  p_bytes := greatest(p_bytes, 0);
  p_versions := greatest(p_versions, 0);
  IF p_bytes <= p_quota_bytes / 10 / v_writers AND p_versions <= p_quota_versions / 10 / v_writers THEN
    -- The first look keeps those near the quota from sharing a lock that they would then have to have alone.
    held := held_by(p_account);
    IF held.held_bytes <= p_quota_bytes * 0.8 AND held.held_versions <= p_quota_versions * 0.8 THEN
      PERFORM pg_advisory_xact_lock_shared(${ACCOUNT_LOCKS}, v_lock);
      held := held_by(p_account);
      IF held.held_bytes + p_bytes <= p_quota_bytes * 0.9 AND held.held_versions + p_versions <= p_quota_versions * 0.9
      THEN RETURN false; END IF;
    END IF;
  END IF;
  PERFORM pg_advisory_xact_lock(${ACCOUNT_LOCKS}, v_lock);
  held := held_by(p_account);
  RETURN (p_bytes > 0 AND held.held_bytes + p_bytes > p_quota_bytes)
    OR (p_versions > 0 AND held.held_versions + p_versions > p_quota_versions);
END $$;

-- Takes a body's segments away and leaves their blobs to the sweeper.
CREATE FUNCTION release_body(p_body bigint) RETURNS void LANGUAGE sql AS $$
  WITH gone AS (DELETE FROM body_segment WHERE body_id = p_body RETURNING blob_id)
  INSERT INTO released_blob (blob_id) SELECT DISTINCT blob_id FROM gone
$$;

-- What the rules ask of a version. Not the whole row: passing that on would fetch its body.
CREATE TYPE version_facts AS (
  seq bigint, version_id text, is_latest boolean, is_delete_marker boolean, size_bytes bigint, etag text,
  retain_mode text, retain_until timestamptz, legal_hold boolean, has_segments boolean
);

CREATE FUNCTION is_protected(p_version version_facts, p_now timestamptz, p_bypass boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT p_version.legal_hold OR (coalesce(p_version.retain_until > p_now, false)
    AND NOT (p_bypass AND p_version.retain_mode = 'GOVERNANCE'))
$$;

-- The null version of a key whose latest is known: that, or an older one, or none (its seq is then null).
CREATE FUNCTION null_version(p_bucket bigint, p_key text, p_latest version_facts) RETURNS version_facts
LANGUAGE plpgsql STABLE AS $$
DECLARE
  found version_facts;
BEGIN
  IF p_latest.version_id = 'null' THEN RETURN p_latest; END IF;
  SELECT ${FACTS} INTO found FROM object_version v
    WHERE v.bucket_number = p_bucket AND v.key = p_key AND v.version_id = 'null' AND NOT v.is_latest;
  RETURN found;
END $$;

-- Makes a version of a key, the newest. Outcomes:
--   published            it is there; seq, version_id, modified_at tell which
--   stale                the bucket is not as the caller knew it (or is no more): look again, ask again, publish again
--   precondition_failed  condition says which
--   no_such_key          If-Match, and there is nothing to match
--   quota                the account's
--   protected            what it would replace must not go
--   past_retention       the day until which it should be kept is over already
CREATE FUNCTION publish_object(
  p_bucket bigint, p_revision bigint, p_key text, p_account text, p_random text,
  p_if_match text[], p_if_none_match text[],
  p_size bigint, p_etag text, p_checksum jsonb, p_storage_class text, p_headers jsonb, p_metadata jsonb, p_tags jsonb,
  p_acl jsonb, p_encryption jsonb,
  p_retain_mode text, p_retain_until timestamptz, p_retain_days int, p_retain_years int, p_legal_hold boolean,
  p_part_count int, p_parts jsonb,
  p_inline_body bytea, p_inline_key bytea,
  p_blob uuid, p_blob_stored bigint, p_blob_md5 bytea, p_blob_key bytea,
  p_segment_blobs uuid[], p_segment_starts bigint[], p_segment_lengths bigint[],
  p_upload_bytes bigint,
  OUT outcome text, OUT condition text, OUT seq bigint, OUT version_id text, OUT modified_at timestamptz
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  b record;
  latest version_facts;
  is_current boolean;
  replaced version_facts;
  v_shown bigint;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(${BUCKET_LOCKS}, (p_bucket & 2147483647)::int);
  SELECT k.versioning, k.account_id, a.quota_bytes, a.quota_objects, clock.time_offset INTO b
    FROM bucket k JOIN account a ON a.id = k.account_id CROSS JOIN clock WHERE k.number = p_bucket AND k.revision = p_revision;
  IF NOT FOUND THEN outcome := 'stale'; RETURN; END IF;

  PERFORM pg_advisory_xact_lock(hashtextextended(p_key, p_bucket));
  SELECT ${FACTS} INTO latest
    FROM object_version v WHERE v.bucket_number = p_bucket AND v.key = p_key ORDER BY v.seq DESC LIMIT 1;
  is_current := FOUND AND NOT latest.is_delete_marker;
  IF p_if_match IS NOT NULL THEN
    IF NOT is_current THEN outcome := 'no_such_key'; RETURN; END IF;
    IF NOT ('*' = ANY (p_if_match) OR latest.etag = ANY (p_if_match)) THEN
      outcome := 'precondition_failed'; condition := 'If-Match'; RETURN;
    END IF;
  END IF;
  IF p_if_none_match IS NOT NULL AND is_current
    AND ('*' = ANY (p_if_none_match) OR latest.etag = ANY (p_if_none_match))
  THEN
    outcome := 'precondition_failed'; condition := 'If-None-Match'; RETURN;
  END IF;

  modified_at := clock_timestamp() + b.time_offset;
  IF p_retain_until <= modified_at THEN outcome := 'past_retention'; RETURN; END IF;
  IF latest.seq IS NOT NULL AND b.versioning <> 'enabled' THEN
    replaced := null_version(p_bucket, p_key, latest);
    IF replaced.seq IS NOT NULL AND is_protected(replaced, modified_at, false) THEN
      outcome := 'protected'; RETURN;
    END IF;
  END IF;
  IF (b.quota_bytes IS NOT NULL OR b.quota_objects IS NOT NULL)
    AND exceeds_quota(b.account_id, b.quota_bytes, b.quota_objects,
      p_size - coalesce(replaced.size_bytes, 0) - p_upload_bytes, CASE WHEN replaced.seq IS NULL THEN 1 ELSE 0 END)
  THEN
    outcome := 'quota'; RETURN;
  END IF;

  IF replaced.seq IS NOT NULL THEN
    DELETE FROM object_version v WHERE v.bucket_number = p_bucket AND v.key = p_key AND v.seq = replaced.seq;
    IF replaced.has_segments THEN PERFORM release_body(replaced.seq); END IF;
  END IF;
  IF latest.seq IS DISTINCT FROM replaced.seq THEN
    UPDATE object_version v SET is_latest = false
      WHERE v.bucket_number = p_bucket AND v.key = p_key AND v.seq = latest.seq;
  END IF;

  seq := nextval('object_seq');
  version_id := CASE b.versioning WHEN 'enabled' THEN version_id_of(seq, p_random) ELSE 'null' END;
  INSERT INTO object_version (bucket_number, key, seq, version_id, is_latest, size_bytes, etag, modified_at, account_id,
      storage_class, headers, metadata, tags, checksum, acl, encryption, retain_mode, retain_until, legal_hold,
      part_count, parts, inline_body, inline_key)
    VALUES (p_bucket, p_key, seq, version_id, true, p_size, p_etag, modified_at, p_account,
      p_storage_class, p_headers, p_metadata, p_tags, p_checksum, p_acl, p_encryption, p_retain_mode,
      CASE WHEN p_retain_mode IS NULL THEN NULL
        WHEN p_retain_until IS NOT NULL THEN p_retain_until
        ELSE modified_at + make_interval(years => coalesce(p_retain_years, 0), days => coalesce(p_retain_days, 0)) END,
      p_legal_hold, p_part_count, p_parts, p_inline_body, p_inline_key);
  IF p_blob IS NOT NULL THEN
    INSERT INTO blob (id, plain_bytes, stored_bytes, md5, wrapped_key)
      VALUES (p_blob, p_size, p_blob_stored, p_blob_md5, p_blob_key);
    INSERT INTO body_segment VALUES (seq, 0, p_blob, 0, p_size);
  ELSIF p_segment_blobs IS NOT NULL THEN
    INSERT INTO body_segment (body_id, body_start, blob_id, blob_start, length)
      SELECT seq, sum(s.length) OVER (ORDER BY s.n) - s.length, s.blob_id, s.start, s.length
        FROM unnest(p_segment_blobs, p_segment_starts, p_segment_lengths) WITH ORDINALITY s (blob_id, start, length, n);
  END IF;

  v_shown := 1 - is_current::int;
  PERFORM count_usage(p_bucket, v_shown, CASE WHEN replaced.seq IS NULL THEN 1 ELSE 0 END,
    p_size - coalesce(replaced.size_bytes, 0), -p_upload_bytes);
  outcome := 'published';
END $$;

-- Deletes up to a few hundred keys or versions of a bucket; what is refused does not hold up the others. Each is a key
-- with either a version's id and its seq, or null: a plain delete, for which a seq that is given must be the latest's.
-- ETags to match stand one a line. Answers come in the order of asking (n from 1), or one row with n = 0: stale.
--   deleted              a version is gone for good: version_id and is_marker tell which
--   marked               a delete marker was made: version_id
--   absent               there was nothing
--   precondition_failed  the ETag, or the expected latest, is another
--   protected            by a retention or a legal hold
CREATE FUNCTION delete_objects(
  p_bucket bigint, p_revision bigint, p_account text, p_keys text[], p_version_ids text[], p_seqs bigint[],
  p_if_matches text[], p_bypasses boolean[], p_randoms text[]
) RETURNS TABLE (n int, outcome text, version_id text, is_marker boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_lock bigint;
  v_versioning text;
  v_now timestamptz;
  v_key text;
  v_seq bigint;
  latest version_facts;
  target version_facts;
  d_objects bigint := 0;
  d_versions bigint := 0;
  d_bytes bigint := 0;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(${BUCKET_LOCKS}, (p_bucket & 2147483647)::int);
  SELECT k.versioning INTO v_versioning FROM bucket k WHERE k.number = p_bucket AND k.revision = p_revision;
  IF NOT FOUND THEN n := 0; outcome := 'stale'; RETURN NEXT; RETURN; END IF;
  FOR v_lock IN SELECT DISTINCT hashtextextended(k, p_bucket) h FROM unnest(p_keys) k ORDER BY h LOOP
    PERFORM pg_advisory_xact_lock(v_lock);
  END LOOP;

  v_now := cloud_now();
  FOR i IN 1..cardinality(p_keys) LOOP
    n := i;
    v_key := p_keys[i];
    version_id := p_version_ids[i];
    is_marker := false;
    SELECT ${FACTS} INTO latest FROM object_version v
      WHERE v.bucket_number = p_bucket AND v.key = v_key ORDER BY v.seq DESC LIMIT 1;
    IF p_version_ids[i] IS NULL THEN
      target := latest;
    ELSIF p_version_ids[i] = 'null' THEN
      target := null_version(p_bucket, v_key, latest);
    ELSE
      SELECT ${FACTS} INTO target FROM object_version v WHERE v.bucket_number = p_bucket AND v.key = v_key
        AND v.seq = p_seqs[i] AND v.version_id = p_version_ids[i];
    END IF;

    IF p_if_matches[i] IS NOT NULL THEN
      IF target.seq IS NULL OR target.is_delete_marker THEN
        outcome := 'absent'; RETURN NEXT; CONTINUE;
      ELSIF p_if_matches[i] <> '*' AND target.etag <> ALL (string_to_array(p_if_matches[i], E'\n')) THEN
        outcome := 'precondition_failed'; RETURN NEXT; CONTINUE;
      END IF;
    END IF;
    IF p_version_ids[i] IS NULL THEN
      IF p_seqs[i] IS NOT NULL AND latest.seq IS DISTINCT FROM p_seqs[i] THEN
        outcome := 'precondition_failed'; RETURN NEXT; CONTINUE;
      END IF;
      IF v_versioning = 'enabled' THEN
        target := NULL;
      ELSIF latest.seq IS NOT NULL THEN
        target := null_version(p_bucket, v_key, latest);
      END IF;
    END IF;
    IF target.seq IS NOT NULL AND is_protected(target, v_now, p_bypasses[i]) THEN
      outcome := 'protected'; RETURN NEXT; CONTINUE;
    END IF;

    IF target.seq IS NOT NULL THEN
      DELETE FROM object_version v WHERE v.bucket_number = p_bucket AND v.key = v_key AND v.seq = target.seq;
      IF target.has_segments THEN PERFORM release_body(target.seq); END IF;
      d_versions := d_versions - 1;
      d_bytes := d_bytes - target.size_bytes;
    END IF;
    IF p_version_ids[i] IS NULL AND v_versioning <> 'off' THEN
      IF latest.seq IS NOT NULL AND latest.seq IS DISTINCT FROM target.seq THEN
        UPDATE object_version v SET is_latest = false
          WHERE v.bucket_number = p_bucket AND v.key = v_key AND v.seq = latest.seq;
      END IF;
      v_seq := nextval('object_seq');
      version_id := CASE v_versioning WHEN 'enabled' THEN version_id_of(v_seq, p_randoms[i]) ELSE 'null' END;
      INSERT INTO object_version (bucket_number, key, seq, version_id, is_latest, is_delete_marker, size_bytes, etag,
          modified_at, account_id)
        VALUES (p_bucket, v_key, v_seq, version_id, true, true, 0, '', v_now, p_account);
      d_versions := d_versions + 1;
      IF NOT coalesce(latest.is_delete_marker, true) THEN d_objects := d_objects - 1; END IF;
      outcome := 'marked';
      is_marker := true;
    ELSIF target.seq IS NULL THEN
      outcome := 'absent';
    ELSE
      outcome := 'deleted';
      is_marker := target.is_delete_marker;
      version_id := target.version_id;
      IF target.is_latest THEN
        IF NOT target.is_delete_marker THEN d_objects := d_objects - 1; END IF;
        SELECT v.seq, v.is_delete_marker INTO latest.seq, latest.is_delete_marker FROM object_version v
          WHERE v.bucket_number = p_bucket AND v.key = v_key ORDER BY v.seq DESC LIMIT 1;
        IF FOUND THEN
          UPDATE object_version v SET is_latest = true
            WHERE v.bucket_number = p_bucket AND v.key = v_key AND v.seq = latest.seq;
          IF NOT latest.is_delete_marker THEN d_objects := d_objects + 1; END IF;
        END IF;
      END IF;
    END IF;
    RETURN NEXT;
  END LOOP;
  IF d_objects <> 0 OR d_versions <> 0 OR d_bytes <> 0 THEN
    PERFORM count_usage(p_bucket, d_objects, d_versions, d_bytes, 0);
  END IF;
END $$;
`
