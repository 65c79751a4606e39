/**
 * What changes uploads in parts. Locks come in the order of 0004: the upload's row first (shared by those who put parts,
 * alone for who completes or aborts it), then the bucket, then the part, as if it were a key.
 */
export const name = '0007-multipart'

/** The space of advisory locks whose second number is a bucket's. */
const BUCKET_LOCKS = 0x626b

export const sql = `
-- Begins an upload. Null: the bucket is not as the caller remembers it. The id cannot be guessed, and begins with the
-- microsecond of its making, so that ids are in the order of their start.
CREATE FUNCTION create_upload(
  p_bucket bigint, p_revision bigint, p_key text, p_account text, p_access_key text, p_random text,
  p_properties jsonb, p_checksum_algorithm text, p_checksum_type text, p_encryption jsonb
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz;
  v_id text;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(${BUCKET_LOCKS}, (p_bucket & 2147483647)::int);
  PERFORM FROM bucket WHERE number = p_bucket AND revision = p_revision;
  IF NOT FOUND THEN RETURN NULL; END IF;
  v_now := cloud_now();
  v_id := lpad(to_hex((extract(epoch FROM v_now) * 1000000)::bigint), 14, '0') || p_random;
  INSERT INTO multipart_upload (id, bucket_number, key, account_id, access_key_id, started_at, properties,
      checksum_algorithm, checksum_type, encryption)
    VALUES (v_id, p_bucket, p_key, p_account, p_access_key, v_now, p_properties,
      p_checksum_algorithm, p_checksum_type, p_encryption);
  RETURN v_id;
END $$;

-- Makes a part, or puts it in the place of the one that has its number; who commits last wins. Outcomes: put,
-- no_such_upload (never was, completed, aborted), quota. The body is one blob, or pieces of blobs, or nothing.
CREATE FUNCTION put_part(
  p_bucket bigint, p_key text, p_upload text, p_number int, p_size bigint, p_md5 bytea, p_etag text, p_checksum text,
  p_blob uuid, p_blob_stored bigint, p_blob_md5 bytea, p_blob_key bytea,
  p_segment_blobs uuid[], p_segment_starts bigint[], p_segment_lengths bigint[],
  OUT outcome text, OUT modified_at timestamptz
) LANGUAGE plpgsql AS $$
DECLARE
  b record;
  old_part upload_part;
  v_body bigint;
BEGIN
  PERFORM FROM multipart_upload u
    WHERE u.id = p_upload AND u.bucket_number = p_bucket AND u.key = p_key AND u.completed_at IS NULL FOR KEY SHARE;
  IF NOT FOUND THEN outcome := 'no_such_upload'; RETURN; END IF;
  PERFORM pg_advisory_xact_lock_shared(${BUCKET_LOCKS}, (p_bucket & 2147483647)::int);
  SELECT k.account_id, a.quota_bytes, a.quota_objects INTO b
    FROM bucket k JOIN account a ON a.id = k.account_id WHERE k.number = p_bucket;
  IF NOT FOUND THEN outcome := 'no_such_upload'; RETURN; END IF;

  PERFORM pg_advisory_xact_lock(hashtextextended(p_upload, p_number));
  SELECT * INTO old_part FROM upload_part p WHERE p.upload_id = p_upload AND p.part_number = p_number;
  IF b.quota_bytes IS NOT NULL AND exceeds_quota(b.account_id, b.quota_bytes, b.quota_objects,
    p_size - coalesce(old_part.size_bytes, 0), 0)
  THEN
    outcome := 'quota'; RETURN;
  END IF;

  IF old_part.body_id IS NOT NULL THEN
    DELETE FROM upload_part p WHERE p.upload_id = p_upload AND p.part_number = p_number;
    PERFORM release_body(old_part.body_id);
  END IF;
  v_body := nextval('object_seq');
  modified_at := cloud_now();
  INSERT INTO upload_part (upload_id, part_number, body_id, size_bytes, md5, etag, checksum, modified_at)
    VALUES (p_upload, p_number, v_body, p_size, p_md5, p_etag, p_checksum, modified_at);
  IF p_blob IS NOT NULL THEN
    INSERT INTO blob (id, plain_bytes, stored_bytes, md5, wrapped_key)
      VALUES (p_blob, p_size, p_blob_stored, p_blob_md5, p_blob_key);
    INSERT INTO body_segment VALUES (v_body, 0, p_blob, 0, p_size);
  ELSIF p_segment_blobs IS NOT NULL THEN
    INSERT INTO body_segment (body_id, body_start, blob_id, blob_start, length)
      SELECT v_body, sum(s.length) OVER (ORDER BY s.n) - s.length, s.blob_id, s.start, s.length
        FROM unnest(p_segment_blobs, p_segment_starts, p_segment_lengths) WITH ORDINALITY s (blob_id, start, length, n);
  END IF;
  PERFORM count_usage(p_bucket, 0, 0, 0, p_size - coalesce(old_part.size_bytes, 0));
  outcome := 'put';
END $$;

-- Removes an upload that is not completed, and its parts. False: there is none.
CREATE FUNCTION abort_upload(p_bucket bigint, p_key text, p_upload text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_bytes bigint;
BEGIN
  PERFORM FROM multipart_upload u
    WHERE u.id = p_upload AND u.bucket_number = p_bucket AND u.key = p_key AND u.completed_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM pg_advisory_xact_lock_shared(${BUCKET_LOCKS}, (p_bucket & 2147483647)::int);
  v_bytes := drop_parts(p_upload);
  DELETE FROM multipart_upload u WHERE u.id = p_upload;
  IF v_bytes <> 0 THEN PERFORM count_usage(p_bucket, 0, 0, 0, -v_bytes); END IF;
  RETURN true;
END $$;

-- Removes what an upload still has of parts and leaves their blobs to the sweeper; returns the bytes they had.
CREATE FUNCTION drop_parts(p_upload text) RETURNS bigint LANGUAGE sql AS $$
  WITH parts AS (DELETE FROM upload_part WHERE upload_id = p_upload RETURNING body_id, size_bytes),
    segments AS (DELETE FROM body_segment s USING parts p WHERE s.body_id = p.body_id RETURNING s.blob_id),
    released AS (INSERT INTO released_blob (blob_id) SELECT DISTINCT blob_id FROM segments)
  SELECT coalesce(sum(size_bytes), 0)::bigint FROM parts
$$;
`
