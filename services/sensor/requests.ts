/** From requests to stored tests: checked against the sensor type, and idempotent by request_id. */
import { createHash } from "node:crypto";
import { aborted, alreadyExists, invalidArgument, notFound } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { SensorTest, Subject } from "./sensor-test.ts";
import { type SensorType, sensorTypeOf } from "./sensor-types.ts";
import { bytesOf, findByRequestId, getTest, insertTest, type Lease, type NewTest } from "./store.ts";
import { restartUpload } from "./work-store.ts";

/** A test that was asked for. */
export interface Draft extends Subject {
  readonly caller: string;
  /** In lower case; undefined when the call is not to be idempotent. */
  readonly requestId: string | undefined;
  readonly degraded: boolean;
}

/**
 * The type by that name, and the rate: `rate`, or the type's default for 0.
 *
 * @throws INVALID_ARGUMENT naming sensor_type or sample_rate_hz.
 */
export function checkedType(name: string, rate: number): { type: SensorType; sampleRateHz: number } {
  const type = sensorTypeOf.get(name);
  if (type === undefined) {
    const description = `expected one of ${[...sensorTypeOf.keys()].join(", ")}, got ${JSON.stringify(name)}`;
    throw invalidArgument([{ field: "sensor_type", description }]);
  }
  if (rate > type.maxSampleRateHz) {
    const description = `expected at most ${type.maxSampleRateHz}, the limit of type ${name}, got ${rate}`;
    throw invalidArgument([{ field: "sample_rate_hz", description }]);
  }
  return { type, sampleRateHz: rate === 0 ? type.defaultSampleRateHz : rate };
}

/**
 * Stores a test: with its samples, or, when there are none, one that waits for them until `uploadTimeoutMs` from now. The same request
 * again answers with the same test.
 *
 * @throws ALREADY_EXISTS when the request id came before with other content.
 */
export async function acceptTest(
  db: Database,
  draft: Draft,
  samples: readonly number[],
  { now, uploadTimeoutMs }: { now: number; uploadTimeoutMs: number },
): Promise<SensorTest> {
  const bytes = bytesOf(Float64Array.from(samples));
  const awaited = samples.length === 0;
  const test: NewTest = {
    ...draft,
    id: uuidv7(now),
    contentHash: hashOf("run", draft, bytes),
    source: awaited ? "awaited" : "stored",
    samples: awaited ? undefined : bytes,
    sampleCount: samples.length,
    createTime: now,
    uploadDeadline: awaited ? now + uploadTimeoutMs : undefined,
    lease: undefined,
  };
  return db.transaction(async (tx) => {
    if (await insertTest(tx, test)) return stored(await getTest(tx, test.id), test.id);
    const before = await findByRequestId(tx, draft.caller, draft.requestId ?? "");
    if (before?.contentHash !== test.contentHash) throw takenRequestId(draft.requestId);
    return before.test;
  });
}

/** A test whose samples begin to come, or, under the request id of one that is done, that one. */
export type Begun = { readonly done: SensorTest } | { readonly id: string };

/**
 * Stores a test that `lease` answers for while its samples come. Under the request id of an upload that failed, that test begins anew.
 *
 * @throws ALREADY_EXISTS when the request id came before with other content, ABORTED when that upload is still under way.
 */
export async function beginUpload(db: Database, draft: Draft, lease: Lease, now: number): Promise<Begun> {
  const contentHash = hashOf("upload", draft, Buffer.alloc(0));
  const fresh = { source: "upload", samples: undefined, sampleCount: 0, uploadDeadline: undefined, createTime: now } as const;
  const id = uuidv7(now);
  return db.transaction(async (tx) => {
    if (await insertTest(tx, { ...draft, ...fresh, id, contentHash, lease })) return { id };
    const before = await findByRequestId(tx, draft.caller, draft.requestId ?? "");
    if (before?.contentHash !== contentHash) throw takenRequestId(draft.requestId);
    if (before.test.status === "completed") return { done: before.test };
    if (await restartUpload(tx, before.test.id, lease, draft.degraded)) return { id: before.test.id };
    throw aborted(`request_id ${JSON.stringify(draft.requestId)} is being uploaded in another call`);
  });
}

function stored(test: SensorTest | undefined, id: string): SensorTest {
  if (test === undefined) throw notFound("test", id);
  return test;
}

function takenRequestId(requestId: string | undefined) {
  return alreadyExists(`request_id ${JSON.stringify(requestId)} came before with other content`);
}

/** The fingerprint of what a request asks for. */
function hashOf(method: string, { userId, sensorType, sensorId, sampleRateHz }: Draft, samples: Uint8Array): string {
  const subject = JSON.stringify([method, userId, sensorType, sensorId, sampleRateHz]);
  return createHash("sha256").update(subject).update(samples).digest("hex");
}
