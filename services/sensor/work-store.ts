/**
 * The SQL of those who work on tests: claims, and what ends them.
 *
 *     stored   --claim--> leased --complete--> completed
 *        ^                  |----fail---------> failed
 *        |---lease ended----|  (the third time: failed)
 *     awaited  --attach--> upload, leased --complete--> completed
 *        |                  |---fail, or lease ended--> failed --restart--> upload
 *        |---deadline------------------------> failed
 */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Findings } from "./sensor-test.ts";
import { bytesOf, doublesOf, type Lease } from "./store.ts";

/** A test whose stored samples a process has claimed. */
export interface Claimed {
  readonly id: string;
  readonly sensorType: string;
  readonly sampleRateHz: number;
  readonly samples: Float64Array<ArrayBuffer>;
}

/** How many processes may begin on the same samples: what ends three of them will end the fourth. */
export const maxAttempts = 3;

/** Claims up to `limit` tests whose samples are stored. Those that another process has locked are passed over. */
export async function claimStored(q: Queryable, limit: number, lease: Lease, now: number): Promise<Claimed[]> {
  const rows = await q.query<{ id: string; sensor_type: string; sample_rate_hz: number; samples: Buffer }>(
    `UPDATE test SET lease_id = $1, lease_until = $2, attempts = attempts + 1
     WHERE id IN (
       SELECT id FROM test WHERE status = 'processing' AND source = 'stored' AND attempts < $5
         AND (lease_until IS NULL OR lease_until <= $3)
       ORDER BY create_time LIMIT $4 FOR UPDATE SKIP LOCKED
     )
     RETURNING id, sensor_type, sample_rate_hz, samples`,
    [lease.id, new Date(lease.until), new Date(now), limit, maxAttempts],
  );
  return rows.map((row) => {
    return { id: row.id, sensorType: row.sensor_type, sampleRateHz: row.sample_rate_hz, samples: doublesOf(row.samples) };
  });
}

/** Gives a claim on stored samples back, as if it had not been made. */
export async function release(q: Queryable, id: string, leaseId: string): Promise<void> {
  await q.query(
    `UPDATE test SET lease_id = NULL, lease_until = NULL, attempts = attempts - 1
     WHERE id = $1 AND lease_id = $2 AND status = 'processing' AND source = 'stored'`,
    [id, leaseId],
  );
}

/** Lets an upload begin on a test that waits for one. False when it does not wait any more. */
export async function attachUpload(q: Queryable, id: string, lease: Lease, now: number): Promise<boolean> {
  const rows = await q.query(
    `UPDATE test SET source = 'upload', upload_deadline = NULL, lease_id = $2, lease_until = $3
     WHERE id = $1 AND status = 'processing' AND source = 'awaited' AND upload_deadline > $4 RETURNING 1`,
    [id, lease.id, new Date(lease.until), new Date(now)],
  );
  return rows.length > 0;
}

/** Begins a failed upload anew. False when it is not failed. */
export async function restartUpload(q: Queryable, id: string, lease: Lease, degraded: boolean): Promise<boolean> {
  const rows = await q.query(
    `UPDATE test SET status = 'processing', failure_reason = '', complete_time = NULL, sample_count = 0, lease_id = $2,
       lease_until = $3, degraded = $4
     WHERE id = $1 AND status = 'failed' AND source = 'upload' RETURNING 1`,
    [id, lease.id, new Date(lease.until), degraded],
  );
  return rows.length > 0;
}

/** Keeps a claim, and says how far an upload has come. False when the claim is lost. */
export async function renew(q: Queryable, id: string, lease: Lease, sampleCount: number): Promise<boolean> {
  const rows = await q.query(
    "UPDATE test SET lease_until = $3, sample_count = $4 WHERE id = $1 AND lease_id = $2 AND status = 'processing' RETURNING 1",
    [id, lease.id, new Date(lease.until), sampleCount],
  );
  return rows.length > 0;
}

/** What of a completed test goes into its event. */
export interface Completed {
  readonly userId: string;
  readonly sensorType: string;
  readonly sensorId: string;
  readonly degraded: boolean;
}

/** Completes a claimed test. Undefined, and nothing changed, when the claim is lost. */
export async function complete(
  q: Queryable,
  id: string,
  leaseId: string,
  findings: Findings,
  now: number,
): Promise<Completed | undefined> {
  const { verdict, analysis, sampleCount, curves } = findings;
  const rows = await q.query<{ user_id: string; sensor_type: string; sensor_id: string; degraded: boolean }>(
    `UPDATE test SET status = 'completed', verdict = $3, analysis = $4, sample_count = $5, bounds = $6, stretch = $7, density = $8,
       complete_time = $9, samples = NULL, lease_id = NULL, lease_until = NULL
     WHERE id = $1 AND lease_id = $2 AND status = 'processing' RETURNING user_id, sensor_type, sensor_id, degraded`,
    [
      ...[id, leaseId, verdict, JSON.stringify(analysis), sampleCount, bytesOf(curves.bounds), curves.stretch],
      ...[bytesOf(curves.density), new Date(now)],
    ],
  );
  return rows.map((row) => {
    return { userId: row.user_id, sensorType: row.sensor_type, sensorId: row.sensor_id, degraded: row.degraded };
  })[0];
}

/** Fails a claimed test. Does nothing when the claim is lost. */
export async function fail(
  q: Queryable,
  id: string,
  leaseId: string,
  reason: string,
  sampleCount: number,
  now: number,
): Promise<void> {
  await q.query(
    `UPDATE test SET status = 'failed', failure_reason = $3, sample_count = $4, complete_time = $5, ${unclaimed}
     WHERE id = $1 AND lease_id = $2 AND status = 'processing'`,
    [id, leaseId, reason, sampleCount, new Date(now)],
  );
}

/** Fails what nobody will go on with: uploads whose process died, waits that are over, samples that ended `maxAttempts` processes. */
export async function failAbandoned(q: Queryable, now: number): Promise<number> {
  const rows = await q.query(
    `UPDATE test SET status = 'failed', complete_time = $1, ${unclaimed}, failure_reason = CASE source
       WHEN 'upload' THEN 'the process that took the samples stopped before the last one: upload them again'
       WHEN 'awaited' THEN 'no samples were uploaded in time'
       ELSE 'the analysis did not end in ' || $2 || ' attempts' END
     WHERE id IN (
       SELECT id FROM test WHERE status = 'processing' AND (
         (source = 'upload' AND lease_until <= $1) OR (source = 'awaited' AND upload_deadline <= $1)
         OR (source = 'stored' AND attempts >= $2::integer AND lease_until <= $1))
       FOR UPDATE SKIP LOCKED
     ) RETURNING 1`,
    [new Date(now), maxAttempts],
  );
  return rows.length;
}

const unclaimed = "samples = NULL, upload_deadline = NULL, lease_id = NULL, lease_until = NULL";
