import assert from "node:assert/strict";
import { Status, Verdict } from "#gen/sensor/v1/test_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { asAnn, calm, eventually, type Fixture, finished, freshDatabase, serve } from "./sensor.fixture.ts";
import { claimStored, failAbandoned, release } from "./work-store.ts";

const run = { sensorType: "temperature", sampleRateHz: 10 };
const dead = { id: "0190a0b0-0000-7000-8000-00000000dead", until: 1000 };

describe("sensor recovery", () => {
  let db: Database;
  let idle: Fixture;
  before(async () => {
    db = await freshDatabase();
    idle = await serve(db, { working: false });
  });
  after(async () => {
    await idle[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });
  beforeEach(() => db.query("DELETE FROM test"));

  const stored = async () => (await idle.as(asAnn).runTest({ ...run, samples: calm(100) })).test?.id ?? "";

  it("a test whose process died in the analysis is done by the next one when the lease has ended", async () => {
    const id = await stored();
    assert.deepEqual(
      (await claimStored(db, 10, dead, 0)).map((claimed) => claimed.id),
      [id],
    );
    assert.deepEqual(await claimStored(db, 10, { ...dead, until: 1999 }, 999), []);
    await using _ = await serve(db);
    const test = await finished(idle.as(asAnn), id);
    assert.deepEqual([test.status, test.verdict], [Status.COMPLETED, Verdict.PASS]);
  });

  it("samples that ended three processes are FAILED with the reason, and not tried a fourth time", async () => {
    const id = await stored();
    for (const now of [0, 1000, 2000])
      assert.equal((await claimStored(db, 10, { id: uuidv7(), until: now + 1000 }, now)).length, 1);
    assert.deepEqual(await claimStored(db, 10, dead, 3000), []);
    assert.equal(await failAbandoned(db, 2999), 0);
    assert.equal(await failAbandoned(db, 3000), 1);
    const test = await finished(idle.as(asAnn), id);
    assert.deepEqual([test.status, test.failureReason], [Status.FAILED, "the analysis did not end in 3 attempts"]);
  });

  it("a claim that is given back does not count", async () => {
    const id = await stored();
    for (let n = 0; n < 5; n++) {
      assert.equal((await claimStored(db, 10, dead, 0)).length, 1, `claim ${n}`);
      await release(db, id, dead.id);
    }
  });

  it("an upload whose process died is FAILED when the lease has ended, with the reason", async () => {
    const { test } = await idle.as(asAnn).runTest(run);
    const id = test?.id ?? "";
    await db.query("UPDATE test SET source = 'upload', upload_deadline = NULL, lease_id = $1, lease_until = to_timestamp(1)", [
      dead.id,
    ]);
    assert.equal(await failAbandoned(db, 999), 0);
    await using _ = await serve(db);
    const failed = await finished(idle.as(asAnn), id);
    assert.equal(failed.status, Status.FAILED);
    assert.match(failed.failureReason, /^the process that took the samples stopped before the last one/);
  });

  it("a test that waits for samples in vain is FAILED at its deadline", async () => {
    await using impatient = await serve(db, { uploadTimeoutMs: 20, leaseMs: 100 });
    const { test } = await impatient.as(asAnn).runTest(run);
    const failed = await finished(idle.as(asAnn), test?.id ?? "");
    assert.deepEqual([failed.status, failed.failureReason], [Status.FAILED, "no samples were uploaded in time"]);
  });

  it("a verdict of which the outbox cannot tell is not recorded: both or neither", async () => {
    const id = await stored();
    await db.query("ALTER TABLE heddle_outbox.event RENAME TO away");
    try {
      await using _ = await serve(db, { leaseMs: 100 });
      await eventually("an attempt", async () => {
        return (await db.query<{ attempts: number }>("SELECT attempts FROM test"))[0]?.attempts;
      });
      assert.equal((await idle.as(asAnn).getTest({ testId: id })).test?.status, Status.PROCESSING);
    } finally {
      await db.query("ALTER TABLE heddle_outbox.away RENAME TO event");
    }
  });
});
