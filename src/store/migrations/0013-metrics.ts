/**
 * What instances used, over time. Counters stand here as totals since creation, never as differences: a row of any level
 * is the last sample of its interval, one point of a curve that only grows. Traffic between two moments is the
 * difference of two points, so it sums up exactly however often a roll-up ran, whatever was thrown away, and whoever was
 * killed in between.
 *
 * The finest level is 2,500 rows a second for 25,000 instances: partitions of an hour, dropped whole. A year of
 * 5-minute rows would be 2.6 billion, one instance's scattered over as many disk pages; so a day that is over is packed
 * into one row an instance, hours into one a month. These rows have no foreign key: they outlive what they tell of.
 */
export const name = '0013-metrics'

const COUNTERS = [
  'network_in_bytes',
  'network_out_bytes',
  'disk_read_bytes',
  'disk_write_bytes',
  'disk_read_ops',
  'disk_write_ops',
]
const columns = (type: string) => COUNTERS.map((counter) => `${counter} ${type}`).join(',\n  ')

/** One row an instance and interval; `measured_at` is the interval's last sample, whose totals these are. */
const level = (table: string) => `
CREATE TABLE ${table} (
  number bigint NOT NULL,
  at timestamptz NOT NULL,
  measured_at timestamptz NOT NULL,
  ended boolean NOT NULL,                           -- the last sample was the end of a run
  samples int NOT NULL,
  cpu_percent real,                                 -- averages …
  cpu_percent_max real,
  memory_used_bytes bigint,
  disk_used_bytes bigint,
  ${columns('bigint')},
  PRIMARY KEY (number, at)
) WITH (fillfactor = 80);
CREATE INDEX ${table}_at ON ${table} (at);
`

/** The rows of one instance and one longer interval (`at`), column by column. */
const page = (table: string) => `
CREATE TABLE ${table} (
  number bigint NOT NULL,
  at timestamptz NOT NULL,
  slot smallint[] NOT NULL,                         -- which of the page's intervals
  after_ms int[] NOT NULL,                          -- measured_at, since the interval's beginning
  ended boolean[] NOT NULL,
  samples int[] NOT NULL,
  cpu_percent real[] NOT NULL,
  cpu_percent_max real[] NOT NULL,
  memory_used_bytes bigint[] NOT NULL,
  disk_used_bytes bigint[] NOT NULL,
  ${columns('bigint[] NOT NULL')},
  PRIMARY KEY (number, at)
);
CREATE INDEX ${table}_at ON ${table} (at);
`

export const sql = `
ALTER TABLE instance_stats
  ADD COLUMN run text,                              -- what the raw counters belong to; null = not known
  ADD COLUMN ended boolean NOT NULL DEFAULT false,  -- that run is over and its end written down
  ADD COLUMN disk_read_bytes bigint, ADD COLUMN disk_read_bytes_raw bigint,
  ADD COLUMN disk_write_bytes bigint, ADD COLUMN disk_write_bytes_raw bigint,
  ADD COLUMN disk_read_ops bigint, ADD COLUMN disk_read_ops_raw bigint,
  ADD COLUMN disk_write_ops bigint, ADD COLUMN disk_write_ops_raw bigint;
ALTER TABLE instance_stats RENAME COLUMN network_in_raw TO network_in_bytes_raw;
ALTER TABLE instance_stats RENAME COLUMN network_out_raw TO network_out_bytes_raw;
CREATE INDEX instance_stats_open ON instance_stats (instance_id) WHERE NOT ended;

CREATE TABLE metric_sample (
  number bigint NOT NULL,
  measured_at timestamptz NOT NULL,
  ended boolean NOT NULL DEFAULT false,
  cpu_percent real,
  memory_used_bytes bigint,
  disk_used_bytes bigint,
  ${columns('bigint')},
  PRIMARY KEY (number, measured_at)
) PARTITION BY RANGE (measured_at);

-- Attached, not created in place: that would lock out readers and writers.
CREATE FUNCTION ensure_metric_partitions(first timestamptz, last timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  hour timestamptz;
  part text;
BEGIN
  FOR hour IN SELECT generate_series(date_trunc('hour', greatest(first, last - interval '4 hours'), 'UTC'), last,
    interval '1 hour')
  LOOP
    part := 'metric_sample_' || to_char(hour AT TIME ZONE 'UTC', 'YYYYMMDDHH24');
    CONTINUE WHEN to_regclass(part) IS NOT NULL;
    PERFORM pg_advisory_xact_lock(hashtext('metric_sample'));
    -- Asked of the catalogue itself: to_regclass remembers that it found nothing, until something else is locked.
    CONTINUE WHEN EXISTS (SELECT FROM pg_class WHERE relname = part AND relnamespace = current_schema()::regnamespace);
    EXECUTE format('CREATE TABLE %I (LIKE metric_sample INCLUDING ALL)', part);
    EXECUTE format('ALTER TABLE metric_sample ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, hour,
      hour + interval '1 hour');
  END LOOP;
END $$;

${['5min', 'hour', 'day', 'month'].map((one) => level(`metric_${one}`)).join('')}
${['5min', 'hour'].map((one) => page(`metric_${one}_page`)).join('')}

-- From here on samples may not be rolled up yet.
CREATE TABLE metric_mark (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  dirty_from timestamptz NOT NULL
);
INSERT INTO metric_mark (dirty_from) VALUES ('2000-01-01 00:00Z');
`
