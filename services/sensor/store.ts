/**
 * The SQL of tests, but for the claims of those who work on them (work-store.ts).
 *
 * Each function takes the database or a transaction; times go in and out as milliseconds since the epoch.
 */
import type { Queryable } from "#mesh/storage/database.ts";
import { badPageToken } from "#mesh/storage/page.ts";
import type { Analysis, Curves, SensorTest, Source, Status, Subject, Verdict } from "./sensor-test.ts";

/** By whom and how a test was asked for. */
export interface Request {
  readonly caller: string;
  readonly requestId: string | undefined;
  readonly contentHash: string;
}

/** A test on its way into the store. Exactly one of samples, lease and uploadDeadline says what becomes of it. */
export interface NewTest extends Subject, Request {
  readonly id: string;
  readonly source: Source;
  readonly samples: Uint8Array | undefined;
  readonly sampleCount: number;
  readonly degraded: boolean;
  readonly createTime: number;
  readonly uploadDeadline: number | undefined;
  readonly lease: Lease | undefined;
}

/** The claim of a process on a test. */
export interface Lease {
  readonly id: string;
  readonly until: number;
}

/** A stored test with what its request was. */
export interface Accepted {
  readonly contentHash: string;
  readonly source: Source;
  readonly test: SensorTest;
}

/** Stores a test. False, and nothing stored, when the request id is taken. */
export async function insertTest(q: Queryable, test: NewTest): Promise<boolean> {
  const rows = await q.query(
    `INSERT INTO test (id, caller, request_id, content_hash, user_id, sensor_type, sensor_id, sample_rate_hz, source, samples,
       sample_count, degraded, create_time, upload_deadline, lease_id, lease_until)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
     ON CONFLICT (caller, request_id) DO NOTHING RETURNING 1`,
    [
      ...[test.id, test.caller, test.requestId ?? null, test.contentHash, test.userId, test.sensorType, test.sensorId],
      ...[test.sampleRateHz, test.source, test.samples ?? null, test.sampleCount, test.degraded, new Date(test.createTime)],
      ...[dateOf(test.uploadDeadline), test.lease?.id ?? null, dateOf(test.lease?.until)],
    ],
  );
  return rows.length > 0;
}

/** The test that `caller` made under this request id. */
export async function findByRequestId(q: Queryable, caller: string, requestId: string): Promise<Accepted | undefined> {
  const rows = await q.query<TestRow & { content_hash: string; source: Source }>(
    `SELECT content_hash, source, ${testColumns} FROM test WHERE caller = $1 AND request_id = $2`,
    [caller, requestId],
  );
  return rows.map((row) => ({ contentHash: row.content_hash, source: row.source, test: toTest(row) }))[0];
}

/** One test, whoever owns it; undefined when there is none. */
export async function getTest(q: Queryable, id: string): Promise<SensorTest | undefined> {
  return (await q.query<TestRow>(`SELECT ${testColumns} FROM test WHERE id = $1`, [id])).map(toTest)[0];
}

/** What a completed test's plot is drawn from; undefined when there is no such test or it is not completed. */
export async function getCurves(q: Queryable, id: string): Promise<Curves | undefined> {
  const rows = await q.query<{ bounds: Buffer; stretch: number; density: Buffer }>(
    "SELECT bounds, stretch, density FROM test WHERE id = $1 AND status = 'completed'",
    [id],
  );
  return rows.map(({ bounds, stretch, density }) => ({ bounds: doublesOf(bounds), stretch, density: doublesOf(density) }))[0];
}

/** What a page of a user's tests shows. */
export interface TestQuery {
  readonly userId: string;
  readonly size: number;
  /** Create time and id of the last one of the page before. */
  readonly after: readonly string[] | undefined;
  readonly sensorType: string | undefined;
  readonly status: Status | undefined;
}

/** A page of a user's tests, latest first, and one more when there are more. @throws INVALID_ARGUMENT naming page_token. */
export async function listTests(q: Queryable, { userId, size, after, sensorType, status }: TestQuery): Promise<SensorTest[]> {
  const [time, id] = after ?? [];
  if (after !== undefined && !(after.length === 2 && /^\d{1,15}$/.test(time ?? "") && uuid.test(id ?? ""))) throw badPageToken();
  const rows = await q.query<TestRow>(
    `SELECT ${testColumns} FROM test
     WHERE user_id = $1
       AND ($2::bigint IS NULL OR (create_time, id) < (to_timestamp($2::bigint / 1000.0), $3::uuid))
       AND ($4::text IS NULL OR sensor_type = $4) AND ($5::text IS NULL OR status = $5)
     ORDER BY create_time DESC, id DESC LIMIT $6 + 1`,
    [userId, time ?? null, id ?? null, sensorType ?? null, status ?? null, size],
  );
  return rows.map(toTest);
}

/** Doubles as the bytes that the store keeps: little-endian, as every machine that runs Node has them. */
export function bytesOf(samples: Float64Array): Buffer {
  return Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
}

/** And back; a copy, since bytes from the database need not begin where doubles may. */
export function doublesOf(bytes: Uint8Array): Float64Array<ArrayBuffer> {
  const copy = new Float64Array(bytes.length / 8);
  new Uint8Array(copy.buffer).set(bytes);
  return copy;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function dateOf(ms: number | undefined): Date | null {
  return ms === undefined ? null : new Date(ms);
}

const testColumns = `id, user_id, sensor_type, sensor_id, sample_rate_hz, status, failure_reason, verdict, analysis, sample_count,
  degraded, create_time, complete_time, upload_deadline`;

interface TestRow {
  readonly id: string;
  readonly user_id: string;
  readonly sensor_type: string;
  readonly sensor_id: string;
  readonly sample_rate_hz: number;
  readonly status: Status;
  readonly failure_reason: string;
  readonly verdict: Verdict | null;
  readonly analysis: Analysis | null;
  readonly sample_count: string;
  readonly degraded: boolean;
  readonly create_time: Date;
  readonly complete_time: Date | null;
  readonly upload_deadline: Date | null;
}

function toTest(row: TestRow): SensorTest {
  return {
    id: row.id,
    userId: row.user_id,
    sensorType: row.sensor_type,
    sensorId: row.sensor_id,
    sampleRateHz: row.sample_rate_hz,
    status: row.status,
    failureReason: row.failure_reason,
    verdict: row.verdict ?? undefined,
    analysis: row.analysis ?? undefined,
    sampleCount: Number(row.sample_count),
    degraded: row.degraded,
    createTime: row.create_time.getTime(),
    completeTime: row.complete_time?.getTime(),
    uploadDeadline: row.upload_deadline?.getTime(),
  };
}
