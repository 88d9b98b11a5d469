import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Who } from "./access.ts";
import type { Backend } from "./backend.ts";
import { openPostgresBackend } from "./postgres-backend.ts";
import {
  asAdmin,
  asAnn,
  eventually,
  type Fixture,
  freshDatabase,
  json,
  refused,
  seconds,
  serve,
  silent,
} from "./queue.fixture.ts";

describe("queue service: messages", () => {
  let db: Database;
  let backend: Backend;
  let fixture: Fixture;
  before(async () => {
    ({ db } = await freshDatabase());
    backend = await openPostgresBackend({ db, log: silent, clock: Date.now, sweepMs: 100 });
    fixture = serve(db, backend);
  });
  after(async () => {
    fixture[Symbol.dispose]();
    await backend[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  let count = 0;
  const fresh = () => `orders-${++count}`;
  const made = async (more: object = {}, who: Who = asAnn) => {
    const { queue } = await fixture.as(who).createQueue({ queue: { name: fresh(), ...more } });
    return queue?.name ?? "";
  };
  const send = (queue: string, data: string | number, more: object = {}, who: Who = asAnn) =>
    fixture.as(who).publish({ queue, message: { data: json(data), ...more } });
  const pullOne = async (queue: string, who: Who = asAnn) => {
    const { deliveries } = await fixture.as(who).pull({ queue, wait: seconds(5) });
    return deliveries[0] ?? assert.fail("expected a delivery");
  };

  describe("Publish", () => {
    it("answers a repeat of the request with the same message, and refuses other content as ALREADY_EXISTS", async () => {
      const queue = await made();
      const request = { requestId: uuidv7(), queue, message: { data: json({ a: 1 }), headers: { b: "2", a: "1" } } };
      const first = await fixture.as(asAnn).publish(request);
      assert.equal(first.duplicate, false);
      const again = await fixture.as(asAnn).publish({ ...request, message: { ...request.message, headers: { a: "1", b: "2" } } });
      assert.deepEqual([again.messageId, again.duplicate], [first.messageId, true]);
      await refused(fixture.as(asAnn).publish({ ...request, message: { data: json(2) } }), Code.AlreadyExists);
      assert.equal((await fixture.as(asAnn).getStats({ queue })).ready, 1n);
    });

    it("publishes the first of a deduplication key within the window, also of 20 at once and of one batch", async () => {
      const queue = await made({ deduplicationWindow: seconds(1) });
      const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => send(queue, n, { deduplicationKey: "k" })));
      assert.equal(new Set(answers.map(({ messageId }) => messageId)).size, 1);
      assert.equal(answers.filter(({ duplicate }) => !duplicate).length, 1);
      const keys = ["k", "m", "m", ""];
      const { results } = await fixture.as(asAnn).publishBatch({
        queue,
        messages: keys.map((deduplicationKey, n) => ({ data: json(n), deduplicationKey })),
      });
      assert.deepEqual(
        results.map(({ duplicate }) => duplicate),
        [true, false, true, false],
      );
      assert.equal(results[2]?.messageId, results[1]?.messageId);
      assert.equal((await fixture.as(asAnn).getStats({ queue })).ready, 3n);
      await eventually("the window to end", async () => !(await send(queue, 1, { deduplicationKey: "k" })).duplicate);
    });

    it("keeps keys of two queues and request ids of two callers apart", async () => {
      const [one, two] = [await made(), await made()];
      const requestId = uuidv7();
      const answers = [
        await send(one, 1, { deduplicationKey: "k" }),
        await send(two, 1, { deduplicationKey: "k" }),
        await fixture.as(asAnn).publish({ requestId, queue: one, message: { data: json(1) } }),
        await fixture.as(asAdmin).publish({ requestId, queue: one, message: { data: json(1) } }),
      ];
      assert.deepEqual(
        answers.map(({ duplicate }) => duplicate),
        [false, false, false, false],
      );
    });

    it("carries any JSON value as it is", async () => {
      const queue = await made();
      for (const value of [null, false, 0, "", "a\u0000b", [], {}, [[1, "x", { a: null }]]]) {
        await fixture.as(asAnn).publish({ queue, message: { data: json(value) } });
        const { data, ackToken } = await pullOne(queue);
        assert.deepEqual(data, json(value));
        await fixture.as(asAnn).ack({ queue, ackTokens: [ackToken] });
      }
    });

    for (const [what, request, field] of [
      ["no message", {}, "message"],
      ["no data", { message: {} }, "message.data"],
      ["data of 262,143 characters", { message: { data: json("x".repeat(262_143)) } }, "message.data"],
      ["priority 10", { message: { data: json(1), priority: 10 } }, "message.priority"],
      ["a header with U+0000", { message: { data: json(1), headers: { a: "\0" } } }, 'message.headers["a"]'],
      ["an ordering key without order", { message: { data: json(1), orderingKey: "k" } }, "message.ordering_key"],
      [
        "a time in two years",
        { message: { data: json(1), scheduleTime: timestampFromMs(Date.now() + 7e10) } },
        "message.schedule_time",
      ],
      [
        "a time beyond all years",
        { message: { data: json(1), scheduleTime: { seconds: 1n << 60n, nanos: 0 } } },
        "message.schedule_time",
      ],
      ["a negative delay", { message: { data: json(1), delay: seconds(-1) } }, "message.delay"],
      ["a request_id of 1", { requestId: "1", message: { data: json(1) } }, "request_id"],
    ] as const) {
      it(`refuses ${what} as INVALID_ARGUMENT of ${field}`, async () => {
        const queue = await made();
        await refused(fixture.as(asAnn).publish({ queue, ...(request as object) }), Code.InvalidArgument, field);
      });
    }

    it("takes data of 262,142 characters", async () => {
      const queue = await made();
      await send(queue, "x".repeat(262_142));
    });
  });

  describe("Pull, Ack, Nack, ExtendVisibility", () => {
    it("answers none at once without wait, and after the wait", async () => {
      const queue = await made();
      assert.deepEqual((await fixture.as(asAnn).pull({ queue })).deliveries, []);
      const from = Date.now();
      assert.deepEqual((await fixture.as(asAnn).pull({ queue, wait: seconds(1) })).deliveries, []);
      assert.ok(Date.now() - from >= 990);
    });

    it("answers none shortly before the call's deadline", async () => {
      const queue = await made();
      assert.deepEqual((await fixture.as(asAnn, 800).pull({ queue, wait: seconds(20) })).deliveries, []);
    });

    it("wakes each of 5 that wait for one of 5 messages, well before the next look", async () => {
      const queue = await made();
      const waiting = Array.from({ length: 5 }, () => pullOne(queue));
      const { id } = (await db.query<{ id: string }>("SELECT id FROM queue WHERE name = $1", [queue]))[0] ?? { id: "" };
      await eventually("all to wait", async () => fixture.room.waiting(id) === 5);
      await fixture.as(asAnn).publishBatch({ queue, messages: [1, 2, 3, 4, 5].map((n) => ({ data: json(n) })) });
      assert.equal(new Set((await Promise.all(waiting)).map(({ messageId }) => messageId)).size, 5);
    });

    it("gives back what it took for a caller that went away", async () => {
      const queue = await made();
      const cut = new AbortController();
      const waiting = fixture.as(asAnn).pull({ queue, wait: seconds(20) }, { signal: cut.signal });
      cut.abort();
      await refused(waiting, Code.Canceled);
      await send(queue, 1);
      await pullOne(queue);
    });

    it("names the tokens that were not open, and refuses when none was: FAILED_PRECONDITION, DELIVERY_EXPIRED", async () => {
      const queue = await made();
      await send(queue, 1);
      const { ackToken } = await pullOne(queue);
      const { expiredTokens } = await fixture.as(asAnn).ack({ queue, ackTokens: [ackToken, "other"] });
      assert.deepEqual(expiredTokens, ["other"]);
      const client = fixture.as(asAnn);
      await refused(client.ack({ queue, ackTokens: [ackToken] }), Code.FailedPrecondition, "DELIVERY_EXPIRED");
      await refused(client.nack({ queue, ackTokens: [ackToken] }), Code.FailedPrecondition, "DELIVERY_EXPIRED");
      const extending = client.extendVisibility({ queue, ackTokens: [ackToken], visibilityTimeout: seconds(1) });
      await refused(extending, Code.FailedPrecondition, "DELIVERY_EXPIRED");
    });
  });

  describe("dead letters and scheduled messages", () => {
    const dead = async (queue: string, ...data: number[]) => {
      for (const one of data) {
        await send(queue, one);
        await fixture.as(asAnn).nack({ queue, ackTokens: [(await pullOne(queue)).ackToken], reason: `reason ${one}` });
      }
    };

    it("lists dead letters latest first, in pages, with their reasons", async () => {
      const queue = await made({ maxDeliveries: 1 });
      await dead(queue, 1, 2, 3);
      const first = await fixture.as(asAnn).listDeadLetters({ queue, pageSize: 2 });
      const second = await fixture.as(asAnn).listDeadLetters({ queue, pageSize: 2, pageToken: first.nextPageToken });
      const reasons = [...first.deadLetters, ...second.deadLetters].map(({ reason }) => reason);
      assert.deepEqual(reasons, ["reason 3", "reason 2", "reason 1"]);
      assert.equal(second.nextPageToken, "");
    });

    it("publishes the named ones, then all, oldest first and counted anew", async () => {
      const queue = await made({ maxDeliveries: 1 });
      await dead(queue, 1, 2, 3);
      const { deadLetters } = await fixture.as(asAnn).listDeadLetters({ queue });
      const two = deadLetters[1]?.messageId ?? "";
      assert.equal((await fixture.as(asAnn).redrive({ queue, messageIds: [two, uuidv7()] })).redriven, 1);
      const again = await pullOne(queue);
      assert.deepEqual([again.messageId, again.data, again.deliveryCount], [two, json(2), 1]);
      assert.equal((await fixture.as(asAnn).redrive({ queue })).redriven, 2);
      assert.deepEqual([(await pullOne(queue)).data, (await pullOne(queue)).data], [json(1), json(3)]);
      assert.equal((await fixture.as(asAnn).getStats({ queue })).dead, 0n);
    });

    it("purges them only when asked", async () => {
      const queue = await made({ maxDeliveries: 1 });
      await dead(queue, 1);
      await send(queue, 2);
      assert.equal((await fixture.as(asAnn).purge({ queue })).purged, 1n);
      assert.equal((await fixture.as(asAnn).purge({ queue, deadLetters: true })).purged, 1n);
    });

    it("lists what is scheduled by time, in pages, and takes it back", async () => {
      const queue = await made();
      const late = await send(queue, 1, { delay: seconds(90) });
      const soon = await send(queue, 2, { scheduleTime: timestampFromMs(Date.now() + 60_000) });
      await send(queue, 3, { scheduleTime: timestampFromMs(1000) });
      const first = await fixture.as(asAnn).listScheduled({ queue, pageSize: 1 });
      const second = await fixture.as(asAnn).listScheduled({ queue, pageSize: 1, pageToken: first.nextPageToken });
      const ids = [...first.messages, ...second.messages].map(({ messageId }) => messageId);
      assert.deepEqual([ids, second.nextPageToken], [[soon.messageId, late.messageId], ""]);
      await fixture.as(asAnn).cancelScheduled({ queue, messageId: soon.messageId });
      await refused(fixture.as(asAnn).cancelScheduled({ queue, messageId: soon.messageId }), Code.NotFound);
      const { ready, scheduled } = await fixture.as(asAnn).getStats({ queue });
      assert.deepEqual([ready, scheduled], [1n, 1n]);
    });
  });
});
