import assert from "node:assert/strict";
import type { Database } from "#mesh/storage/database.ts";
import { freshDatabase } from "./queue.fixture.ts";
import { claimHold, forgetSettled, recordSettled } from "./settled-store.ts";

describe("what is settled in an ordered queue", () => {
  const id = "0198a2b0-0000-7000-8000-000000000001";
  const hour = 3_600_000;
  let db: Database;
  before(async () => {
    ({ db } = await freshDatabase());
    await db.query(
      `INSERT INTO queue (id, name, owner, ordered, visibility_ms, max_deliveries, retention_ms, deduplication_ms, create_time, update_time)
       VALUES ($1, 'ordered', 'service:test', true, 1000, 5, 1000, 1000, now(), now())`,
      [id],
    );
  });
  after(() => db?.[Symbol.asyncDispose]());

  it("is told to who claims the queue next, and noted no more by who held it before", async () => {
    assert.equal(await recordSettled(db, id, "one", ["a/0"], hour), false);
    assert.deepEqual(await claimHold(db, id, "one"), new Set());
    assert.equal(await recordSettled(db, id, "one", ["a/0", "b/0"], hour), true);
    assert.deepEqual(await claimHold(db, id, "two"), new Set(["a/0", "b/0"]));
    assert.equal(await recordSettled(db, id, "one", ["c/0"], hour), false);
    assert.equal(await recordSettled(db, id, "two", ["d/0"], hour + 1), true);
    assert.deepEqual(await claimHold(db, id, "one"), new Set(["a/0", "b/0", "d/0"]));
  });

  it("is forgotten after an hour", async () => {
    await forgetSettled(db, 2 * hour + 1);
    assert.deepEqual(await claimHold(db, id, "one"), new Set(["d/0"]));
  });
});
