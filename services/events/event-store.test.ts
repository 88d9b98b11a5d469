import assert from "node:assert/strict";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Draft } from "./event.ts";
import { appendEvents } from "./event-store.ts";
import { asAdmin, freshDatabase, serve } from "./events.fixture.ts";

/** A draft of its own request. */
function draft(): Draft {
  const of = { producer: "test", contentHash: "h", key: "k", type: "test.made", data: "{}", occurTime: undefined };
  return { ...of, requestId: uuidv7() };
}

describe("append_events", () => {
  it("reads none of what was accepted before for new requests, however much there is", async () => {
    await using db = await freshDatabase();
    await using fixture = await serve(db);
    await fixture.as(asAdmin).createTopic({ topic: { name: "grown" } });
    const [topic] = await db.query<{ id: number }>("SELECT id FROM topic WHERE name = 'grown'");
    const id = topic?.id ?? assert.fail();
    const append = (q: Parameters<typeof appendEvents>[0], count: number) =>
      appendEvents(q, id, Array.from({ length: count }, draft), { now: Date.now(), segment: 10_000 });
    // The plans of a function are made in its first calls, on tables that are as good as empty.
    for (let call = 0; call < 40; call++) await append(db, 50);
    const read = await db.transaction(async (tx) => {
      await append(tx, 3);
      return tx.query<{ tuples: string }>(
        "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) AS tuples FROM pg_stat_xact_user_tables WHERE relname = 'accepted'",
      );
    });
    assert.deepEqual(read, [{ tuples: "0" }]);
  });
});
