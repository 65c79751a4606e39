/**
 * Pages of a bucket's keys, versions and uploads, in byte order. With a delimiter a page does not walk what it folds
 * away: behind each common prefix it jumps to the first key that cannot begin with it. Such a jump is an index probe of
 * some microseconds here and would be a round trip each outside, so it is done in the database.
 *
 * The functions give at most `entries_max` entries, in order; an entry is a row, or a common prefix. `after_key` may lie
 * anywhere: inside a common prefix it skips the rest of that prefix.
 */
export const name = '0005-object-listing'

interface Listing {
  name: string
  /** The type of what it gives. Its first column is `common_prefix`; `columns` are the others. */
  entry: string
  table: string
  columns: string
  where: string
  order: string
  /** Where one key has several rows: a place among them. */
  within: { parameter: string; variable: string; isBehind: string } | null
}

const listing = ({ name, entry, table, columns, where, order, within }: Listing) => `
CREATE FUNCTION ${name}(
  bucket bigint, prefix text, delimiter text, after_key text, ${within ? `${within.parameter} text, ` : ''}entries_max int
) RETURNS SETOF ${entry} LANGUAGE plpgsql STABLE
-- The planner is kept from sorting a bucket for a page of it, whatever it believes about the table.
SET enable_seqscan TO off SET enable_bitmapscan TO off SET enable_sort TO off AS $$
DECLARE
  place text := listing_start(prefix, delimiter, after_key);
  bound CONSTANT text := key_after_prefix(prefix);
  entries_left int := entries_max;
  is_folding boolean := delimiter IS NOT NULL;
  jump record;
  ${within?.variable ?? ''}
  is_within boolean := ${within ? `${within.parameter} IS NOT NULL` : 'false'} AND starts_with(after_key, prefix)
    AND common_prefix_of(after_key, prefix, delimiter) IS NULL;
  entry ${entry};
BEGIN
  WHILE entries_left > 0 LOOP
    IF is_within THEN                               -- the other rows of the key
      is_within := false;
      FOR entry IN
        SELECT NULL, ${columns} FROM ${table} r
        WHERE r.bucket_number = bucket AND ${where} AND r.key = after_key COLLATE "C" AND ${within?.isBehind ?? 'false'}
        ORDER BY ${order} LIMIT entries_left
      LOOP
        entries_left := entries_left - 1;
        RETURN NEXT entry;
      END LOOP;
    ELSIF is_folding THEN                           -- from one common prefix to the next, up to a key that is in none
      is_folding := false;
      jump := NULL;
      FOR jump IN
        WITH RECURSIVE jumps (key, common_prefix, n) AS (
          SELECT k.key, common_prefix_of(k.key, prefix, delimiter), 1 FROM (
            SELECT r.key FROM ${table} r
            WHERE r.bucket_number = bucket AND ${where} AND r.key >= place COLLATE "C" AND r.key < bound COLLATE "C"
            ORDER BY r.key LIMIT 1) k
          UNION ALL
          SELECT k.key, common_prefix_of(k.key, prefix, delimiter), j.n + 1 FROM jumps j CROSS JOIN LATERAL (
            SELECT r.key FROM ${table} r
            WHERE r.bucket_number = bucket AND ${where}
              AND r.key >= key_after_prefix(j.common_prefix) COLLATE "C" AND r.key < bound COLLATE "C"
            ORDER BY r.key LIMIT 1) k
          WHERE j.common_prefix IS NOT NULL AND j.n < entries_left)
        SELECT j.key, j.common_prefix FROM jumps j
      LOOP
        place := jump.key;
        EXIT WHEN jump.common_prefix IS NULL;
        entries_left := entries_left - 1;
        entry := NULL;
        entry.common_prefix := jump.common_prefix;
        RETURN NEXT entry;
      END LOOP;
      EXIT WHEN NOT FOUND OR jump.common_prefix IS NOT NULL;
    ELSE                                            -- a scan, up to the next common prefix
      entry := NULL;
      FOR entry IN
        SELECT NULL, ${columns} FROM ${table} r
        WHERE r.bucket_number = bucket AND ${where} AND r.key >= place COLLATE "C" AND r.key < bound COLLATE "C"
        ORDER BY ${order} LIMIT entries_left
      LOOP
        entries_left := entries_left - 1;
        entry.common_prefix := common_prefix_of(entry.key, prefix, delimiter);
        RETURN NEXT entry;
        EXIT WHEN entry.common_prefix IS NOT NULL;
      END LOOP;
      EXIT WHEN entry.common_prefix IS NULL;
      is_folding := true;
      place := key_after_prefix(entry.common_prefix);
    END IF;
  END LOOP;
END $$;
`

const VERSION_COLUMNS = `r.key, r.version_id, r.seq, r.is_latest, r.is_delete_marker, r.size_bytes, r.etag,
          r.modified_at, r.storage_class, r.account_id, r.checksum->>'algorithm', r.checksum->>'type'`

export const sql = `
-- The order of a listing of versions, which no scan of (key, seq) in one direction gives.
ALTER TABLE object_version DROP CONSTRAINT object_version_pkey;
CREATE UNIQUE INDEX object_version_listed ON object_version (bucket_number, key, seq DESC);

-- An upload's id begins with the time of its start, so this is the order of a listing of uploads too.
DROP INDEX multipart_upload_listed;
CREATE INDEX multipart_upload_listed ON multipart_upload (bucket_number, key, id COLLATE "C")
  WHERE completed_at IS NULL;

-- The least text above everything that begins with \`prefix\`. UTF-8 sorts by code points, so the last one is counted up;
-- U+10FFFF cannot be, and goes. When nothing is left there is no such text, and one above every possible key (of 1024
-- bytes) stands in. One expression, and not STRICT, so that it is inlined where it is asked a thousand times.
CREATE FUNCTION key_after_prefix(prefix text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN rtrim(prefix, chr(1114111)) = '' THEN repeat(chr(1114111), 257)
    ELSE left(rtrim(prefix, chr(1114111)), -1) || chr(CASE ascii(right(rtrim(prefix, chr(1114111)), 1))
      WHEN 55295 THEN 57344                         -- surrogates are no characters
      ELSE ascii(right(rtrim(prefix, chr(1114111)), 1)) + 1 END) END
$$;

-- The common prefix that a listing folds the key into; null when it shows the key itself.
CREATE FUNCTION common_prefix_of(key text, prefix text, delimiter text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN starts_with(key, prefix) AND strpos(substr(key, length(prefix) + 1), delimiter) > 0
    THEN left(key, length(prefix) + strpos(substr(key, length(prefix) + 1), delimiter) + length(delimiter) - 1) END
$$;

-- Where a listing behind \`after_key\` begins, itself included.
CREATE FUNCTION listing_start(prefix text, delimiter text, after_key text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN after_key IS NULL OR after_key COLLATE "C" < prefix COLLATE "C" THEN prefix
    ELSE coalesce(key_after_prefix(common_prefix_of(after_key, prefix, delimiter)),
      after_key || chr(1)) END                      -- nothing lies between: no key holds chr(0)
$$;

-- Where a version stood in its key's order: its id tells (version_id_of), also when the version is gone by now. The null
-- version's does not; when that is gone the listing rather shows all versions of the key than misses some.
CREATE FUNCTION seq_of_version(bucket bigint, of_key text, id text) RETURNS bigint LANGUAGE sql STABLE STRICT AS $$
  SELECT CASE WHEN id <> 'null' THEN ('x' || left(id, 12))::bit(48)::bigint # ('x' || substr(id, 13, 12))::bit(48)::bigint
    ELSE coalesce((SELECT max(seq) FROM object_version
      WHERE bucket_number = bucket AND key = of_key COLLATE "C" AND version_id = 'null'), 9223372036854775807) END
$$;

CREATE TYPE listed_version AS (
  common_prefix text, key text, version_id text, seq bigint, is_latest boolean, is_delete_marker boolean,
  size_bytes bigint, etag text, modified_at timestamptz, storage_class text, account_id text,
  checksum_algorithm text, checksum_type text
);
CREATE TYPE listed_upload AS (
  common_prefix text, key text, id text, started_at timestamptz, account_id text, owner_id text, storage_class text,
  checksum_algorithm text, checksum_type text
);
${listing({
  name: 'list_objects',
  entry: 'listed_version',
  table: 'object_version',
  columns: VERSION_COLUMNS,
  where: 'r.is_latest AND NOT r.is_delete_marker',
  order: 'r.key',
  within: null,
})}
${listing({
  name: 'list_object_versions',
  entry: 'listed_version',
  table: 'object_version',
  columns: VERSION_COLUMNS,
  where: 'true',
  order: 'r.key, r.seq DESC',
  within: {
    parameter: 'after_version_id',
    variable: 'after_seq bigint := seq_of_version(bucket, after_key, after_version_id);',
    isBehind: 'r.seq < after_seq',
  },
})}
${listing({
  name: 'list_multipart_uploads',
  entry: 'listed_upload',
  table: 'multipart_upload',
  columns: `r.key, r.id, r.started_at, r.account_id, r.properties->>'ownerId', r.properties->>'storageClass', r.checksum_algorithm, r.checksum_type`,
  where: 'r.completed_at IS NULL',
  order: 'r.key, r.id COLLATE "C"',
  within: {
    parameter: 'after_upload_id',
    variable: '',
    isBehind: 'r.id > after_upload_id COLLATE "C"',
  },
})}
`
