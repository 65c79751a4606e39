/** Every row and every file of object storage accounted for: counters, segments, blobs. */
import assert from 'node:assert/strict'
import { sql } from 'kysely'
import { createFilesystemObjects } from '../../../src/drivers/objects/filesystem.ts'
import type { ObjectsDriver } from '../../../src/drivers/objects/objects.ts'
import { auditBlobs } from '../../../src/jobs/objects/audit-blobs.ts'
import { scrubBlobs } from '../../../src/jobs/objects/scrub-blobs.ts'
import { sweepObjects } from '../../../src/jobs/objects/sweep-objects.ts'
import type { AppContext } from '../../../src/main/context.ts'
import type { Db } from '../../../src/store/db.ts'

/** After the last server has ended. Sweeps without grace, and throws what does not add up. */
export async function auditStore({ db, paths }: AppContext): Promise<{ blobs: number }> {
  await auditUsage(db)
  const objects = createFilesystemObjects({ folder: paths.objects })
  await sweep(db, objects)
  await auditSegments(db)
  const files = new Set<string>()
  for await (const { id } of objects.list()) files.add(id)
  const { rows } = await sql<{ id: string }>`SELECT DISTINCT blob_id::text AS id FROM body_segment`.execute(db)
  assert.deepEqual(files, new Set(rows.map(({ id }) => id.replaceAll('-', ''))), 'files are what segments point at')
  return { blobs: files.size }
}

async function sweep(db: Db, objects: ObjectsDriver): Promise<void> {
  // The readers are dead; by itself the sweeper would know in a minute.
  await db.deleteFrom('object_reader').execute()
  const damage: string[] = []
  const storage = {
    releasedGraceSeconds: 0,
    orphanGraceSeconds: 0,
    scrubBytes: Number.MAX_SAFE_INTEGER,
    backupGraceMinutes: 60,
  }
  const tools = { db, objects, storage, log: (line: string) => void damage.push(line) }
  for (const one of [sweepObjects, auditBlobs, scrubBlobs]) await one.run(tools, new AbortController().signal)
  assert.deepEqual(damage, [], 'blobs missing or damaged')
}

/** What is counted as things happen is what a count from scratch gives. */
async function auditUsage(db: Db): Promise<void> {
  const { rows } = await sql<Record<string, unknown>>`
    SELECT b.name,
      counted.objects, counted.versions, counted.bytes, counted.upload_bytes,
      there.objects AS objects_there, there.versions AS versions_there, there.bytes AS bytes_there,
      uploading.bytes AS upload_bytes_there
    FROM bucket b
    CROSS JOIN LATERAL (SELECT coalesce(sum(objects), 0)::bigint AS objects, coalesce(sum(versions), 0)::bigint AS versions,
        coalesce(sum(bytes), 0)::bigint AS bytes, coalesce(sum(upload_bytes), 0)::bigint AS upload_bytes
      FROM bucket_usage u WHERE u.bucket_number = b.number) counted
    CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE is_latest AND NOT is_delete_marker) AS objects,
        count(*) AS versions, coalesce(sum(size_bytes), 0)::bigint AS bytes
      FROM object_version v WHERE v.bucket_number = b.number) there
    CROSS JOIN LATERAL (SELECT coalesce(sum(p.size_bytes), 0)::bigint AS bytes
      FROM multipart_upload m JOIN upload_part p ON p.upload_id = m.id
      WHERE m.bucket_number = b.number AND m.completed_at IS NULL) uploading`.execute(db)
  assert.ok(rows.length > 0)
  for (const { name, ...row } of rows) {
    for (const what of ['objects', 'versions', 'bytes', 'upload_bytes']) {
      assert.equal(Number(row[what]), Number(row[`${what}_there`]), `${what} of ${name} as counted`)
    }
  }
}

/** Every segment belongs to a version or a part and lies inside its blob; no version lacks a byte. */
async function auditSegments(db: Db): Promise<void> {
  const { rows } = await sql`
    WITH body AS (
      SELECT seq AS id, size_bytes, inline_body FROM object_version WHERE NOT is_delete_marker
      UNION ALL SELECT body_id, size_bytes, NULL FROM upload_part
    ), stored AS (
      SELECT body_id AS id, sum(length)::bigint AS bytes FROM body_segment GROUP BY body_id
    )
    SELECT id, body.size_bytes, stored.bytes FROM body FULL JOIN stored USING (id)
    WHERE body.id IS NULL OR body.size_bytes <> coalesce(stored.bytes, octet_length(body.inline_body), 0)`.execute(db)
  assert.deepEqual(rows, [], 'bodies and their segments')
  const outside = await sql`SELECT s.body_id FROM body_segment s JOIN blob b ON b.id = s.blob_id
    WHERE s.blob_start + s.length > b.plain_bytes`.execute(db)
  assert.deepEqual(outside.rows, [], 'segments that leave their blob')
}
