import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Order } from "#gen/queue/v1/message_pb.ts";
import type { SubscribeRequestSchema } from "#gen/queue/v1/queue_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Who } from "./access.ts";
import type { Backend } from "./backend.ts";
import { openPostgresBackend } from "./postgres-backend.ts";
import {
  ann,
  asAdmin,
  asAnn,
  asBob,
  asLedger,
  bob,
  eventually,
  type Fixture,
  freshDatabase,
  json,
  refused,
  seconds,
  serve,
  silent,
} from "./queue.fixture.ts";

describe("queue service", () => {
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

  describe("CreateQueue, UpdateQueue, DeleteQueue", () => {
    it("gives the defaults, and belongs to the caller", async () => {
      const name = fresh();
      const { queue } = await fixture.as(asAnn).createQueue({ queue: { name } });
      assert.ok(queue !== undefined);
      assert.deepEqual([queue.name, queue.owner, queue.order, queue.maxDeliveries], [name, ann, Order.NONE, 5]);
      const { visibilityTimeout, retention, deduplicationWindow } = queue;
      assert.deepEqual([visibilityTimeout?.seconds, retention?.seconds, deduplicationWindow?.seconds], [30n, 1209600n, 300n]);
      assert.deepEqual((await fixture.as(asAnn).getQueue({ name })).queue, queue);
    });

    it("belongs to a service that makes it in nobody's name", async () => {
      const { queue } = await fixture.as(asLedger).createQueue({ queue: { name: fresh() } });
      assert.equal(queue?.owner, "service:ledger");
    });

    it("answers a repeat of the request with the same queue, and refuses another one as ALREADY_EXISTS", async () => {
      const request = { requestId: uuidv7(), queue: { name: fresh() } };
      const first = await fixture.as(asAnn).createQueue(request);
      assert.deepEqual(await fixture.as(asAnn).createQueue({ ...request, requestId: request.requestId.toUpperCase() }), first);
      await refused(fixture.as(asAnn).createQueue({ ...request, queue: { name: fresh() } }), Code.AlreadyExists);
    });

    it("refuses a name that is taken, also by somebody else's queue", async () => {
      const name = await made();
      for (const who of [asAnn, asBob]) await refused(fixture.as(who).createQueue({ queue: { name } }), Code.AlreadyExists);
    });

    it("refuses the third queue of one owner where two are allowed, and not an administrator's", async () => {
      using small = serve(db, backend, 2);
      const carl: Who = { ...asBob, principal: { ...(asBob.principal ?? assert.fail()), id: uuidv7() } };
      for (let n = 0; n < 2; n++) await small.as(carl).createQueue({ queue: { name: fresh() } });
      await refused(small.as(carl).createQueue({ queue: { name: fresh() } }), Code.ResourceExhausted);
      await refused(small.as(carl).publish({ queue: fresh(), message: { data: json(1) } }), Code.ResourceExhausted);
      for (let n = 0; n < 3; n++) await small.as(asAdmin).createQueue({ queue: { name: fresh() } });
    });

    it("changes the rules that update_mask names, and holds for messages that wait", async () => {
      const name = await made({ maxDeliveries: 5 });
      await send(name, 1);
      const updateMask = { paths: ["max_deliveries"] };
      const changed = await fixture
        .as(asAnn)
        .updateQueue({ queue: { name, maxDeliveries: 1, retention: seconds(9) }, updateMask });
      assert.deepEqual([changed.queue?.maxDeliveries, changed.queue?.retention?.seconds], [1, 1209600n]);
      await fixture.as(asAnn).nack({ queue: name, ackTokens: [(await pullOne(name)).ackToken], reason: "no" });
      assert.equal((await fixture.as(asAnn).getStats({ queue: name })).dead, 1n);
      await refused(
        fixture.as(asAnn).updateQueue({ queue: { name }, updateMask: { paths: ["order"] } }),
        Code.InvalidArgument,
        "update_mask",
      );
    });

    it("removes a queue with all that is in it; a new one of that name is empty", async () => {
      const name = await made();
      await send(name, 1);
      await fixture.as(asAnn).deleteQueue({ name });
      await refused(fixture.as(asAnn).pull({ queue: name }), Code.NotFound);
      await fixture.as(asAnn).createQueue({ queue: { name } });
      assert.deepEqual((await fixture.as(asAnn).pull({ queue: name })).deliveries, []);
    });

    it("lists a user's own and granted queues by name, in pages; all to an administrator", async () => {
      const dora: Who = { ...asBob, principal: { ...(asBob.principal ?? assert.fail()), id: uuidv7() } };
      const doraId = dora.principal?.id ?? "";
      const own = [await made({}, dora), await made({}, dora)];
      const granted = await made({ grants: [{ userId: doraId, publish: true }] });
      await made({ grants: [{ userId: doraId }] });
      const first = await fixture.as(dora).listQueues({ pageSize: 2 });
      const second = await fixture.as(dora).listQueues({ pageSize: 2, pageToken: first.nextPageToken });
      const names = [...first.queues, ...second.queues].map(({ name }) => name);
      assert.deepEqual(names, [...own, granted].sort());
      assert.deepEqual(second.queues.at(-1)?.grants, []);
      assert.ok((await fixture.as(asAdmin).listQueues({ pageSize: 1000 })).queues.length > names.length);
      await refused(fixture.as(dora).listQueues({ pageToken: "x" }), Code.InvalidArgument, "page_token");
    });

    for (const [what, queue, field] of [
      ['the name ""', { name: "" }, "queue.name"],
      ['the name "a b"', { name: "a b" }, "queue.name"],
      ['the name "../x"', { name: "../x" }, "queue.name"],
      ["a visibility timeout of 0 s", { name: "x", visibilityTimeout: seconds(0) }, "queue.visibility_timeout"],
      ["a visibility timeout of 1.5 s", { name: "x", visibilityTimeout: seconds(1.5) }, "queue.visibility_timeout"],
      ["order 9", { name: "x", order: 9 as Order }, "queue.order"],
      ["-1 deliveries", { name: "x", maxDeliveries: -1 }, "queue.max_deliveries"],
      ["a grant to nobody", { name: "x", grants: [{ userId: "" }] }, "queue.grants[0].user_id"],
      ["two grants to one", { name: "x", grants: [{ userId: bob }, { userId: bob.toUpperCase() }] }, "queue.grants"],
    ] as const) {
      it(`refuses ${what} as INVALID_ARGUMENT of ${field}`, async () => {
        await refused(fixture.as(asAnn).createQueue({ queue: queue as never }), Code.InvalidArgument, field);
      });
    }
  });

  describe("access", () => {
    const calls = (name: string, who: Who): Record<string, () => Promise<unknown>> => {
      const client = fixture.as(who);
      const ackTokens = ["x"];
      return {
        publish: () => client.publish({ queue: name, message: { data: json(1) } }),
        publishBatch: () => client.publishBatch({ queue: name, messages: [{ data: json(1) }] }),
        listScheduled: () => client.listScheduled({ queue: name }),
        cancelScheduled: () => client.cancelScheduled({ queue: name, messageId: uuidv7() }),
        pull: () => client.pull({ queue: name }),
        ack: () => client.ack({ queue: name, ackTokens }),
        nack: () => client.nack({ queue: name, ackTokens }),
        extendVisibility: () => client.extendVisibility({ queue: name, ackTokens, visibilityTimeout: seconds(1) }),
        listDeadLetters: () => client.listDeadLetters({ queue: name }),
        subscribe: async () => {
          for await (const _ of client.subscribe(once({ queue: name, credits: 1 }))) break;
        },
        getStats: () => client.getStats({ queue: name }),
        getQueue: () => client.getQueue({ name }),
        redrive: () => client.redrive({ queue: name }),
        purge: () => client.purge({ queue: name }),
        updateQueue: () => client.updateQueue({ queue: { name } }),
        deleteQueue: () => client.deleteQueue({ name }),
      };
    };
    const codeOf = async (call: () => Promise<unknown>) =>
      call().then(
        () => "OK",
        (error: unknown) => Code[ConnectError.from(error).code],
      );
    const publishing = ["publish", "publishBatch", "listScheduled", "cancelScheduled"];
    const consuming = ["pull", "ack", "nack", "extendVisibility", "listDeadLetters", "subscribe"];
    const seeing = ["getStats", "getQueue"];

    it("is NOT_FOUND in every method for a stranger, as for a queue that is not there", async () => {
      const name = await made();
      for (const [method, call] of Object.entries(calls(name, asBob))) assert.equal(await codeOf(call), "NotFound", method);
    });

    it("lets a user with a grant do what it says, and refuses the rest as PERMISSION_DENIED", async () => {
      for (const [grant, granted] of [
        [{ publish: true }, publishing],
        [{ consume: true }, consuming],
      ] as const) {
        const name = await made({ grants: [{ userId: bob, ...grant }] });
        for (const [method, call] of Object.entries(calls(name, asBob))) {
          const allowed = [...granted, ...seeing].includes(method);
          assert.equal((await codeOf(call)) === "PermissionDenied", !allowed, method);
        }
      }
    });

    it("lets administrators and services do everything", async () => {
      for (const who of [asAdmin, asLedger]) {
        const name = await made();
        for (const [method, call] of Object.entries(calls(name, who))) {
          const code = await codeOf(call);
          const expected = {
            cancelScheduled: "NotFound",
            ack: "FailedPrecondition",
            nack: "FailedPrecondition",
            extendVisibility: "FailedPrecondition",
          };
          assert.equal(code, expected[method as keyof typeof expected] ?? "OK", method);
        }
      }
    });

    it("makes a queue by publishing to it, but not with an API key that may not", async () => {
      const name = fresh();
      const key: Who = {
        ...asAnn,
        principal: { ...(asAnn.principal ?? assert.fail()), kind: "api-key", scopes: ["queues:publish"] },
      };
      await refused(send(name, 1, {}, key), Code.NotFound);
      await send(name, 1);
      assert.equal((await fixture.as(asAnn).getQueue({ name })).queue?.owner, ann);
      await send(name, 2, {}, key);
    });
  });

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

  describe("Subscribe", () => {
    it("sends as many as there are credits, takes acks and nacks on the stream, and ends when the client has ended", async () => {
      const queue = await made();
      await fixture.as(asAnn).publishBatch({ queue, messages: [1, 2, 3, 4].map((n) => ({ data: json(n) })) });
      const said = new Said();
      const stream = fixture.as(asAnn).subscribe(said)[Symbol.asyncIterator]();
      const next = async () => (await stream.next()).value?.event;
      said.say({ queue, credits: 2 });
      const [one, two] = [await next(), await next()];
      assert.ok(one?.case === "delivery" && two?.case === "delivery");
      said.say({ ackTokens: [one.value.ackToken, "nonsense"], nackTokens: [two.value.ackToken], nackReason: "busy" });
      const settlement = await next();
      assert.ok(settlement?.case === "settlement");
      assert.deepEqual(settlement.value.settledTokens, [one.value.ackToken, two.value.ackToken]);
      assert.deepEqual(settlement.value.expiredTokens, ["nonsense"]);
      assert.equal((await fixture.as(asAnn).getStats({ queue })).ready, 3n);
      said.say({ credits: 3 });
      const rest = [await next(), await next(), await next()].map((event) => event?.case === "delivery" && event.value.data);
      assert.deepEqual(rest, [json(2), json(3), json(4)]);
      await send(queue, 5, {});
      said.say({ credits: 1 });
      const last = await next();
      assert.ok(last?.case === "delivery" && last.value.deliveryCount === 1);
      said.end();
      assert.equal((await stream.next()).done, true);
    });

    it("leaves open what it sent when the client goes, so that its token still counts", async () => {
      const queue = await made();
      await send(queue, 1);
      const said = new Said();
      const cut = new AbortController();
      const stream = fixture.as(asAnn).subscribe(said, { signal: cut.signal })[Symbol.asyncIterator]();
      said.say({ queue, credits: 10 });
      const { value } = await stream.next();
      assert.ok(value?.event.case === "delivery");
      cut.abort();
      await refused(stream.next(), Code.Canceled);
      await fixture.as(asAnn).ack({ queue, ackTokens: [value.event.value.ackToken] });
    });

    it("ends with NOT_FOUND when the queue is removed", async () => {
      const queue = await made();
      const said = new Said();
      const stream = fixture.as(asAnn).subscribe(said)[Symbol.asyncIterator]();
      said.say({ queue, credits: 1 });
      const next = stream.next();
      await fixture.as(asAnn).deleteQueue({ name: queue });
      said.say({ credits: 1 });
      await refused(next, Code.NotFound);
    }).timeout(40_000);

    for (const [what, messages, field] of [
      ["no queue at first", [{ credits: 1 }], "queue"],
      ["a queue again", [{ queue: "Q" }, { queue: "Q" }], "queue"],
      ["20,000 credits", [{ queue: "Q", credits: 10_000 }, { credits: 10_000 }], "credits"],
    ] as const) {
      it(`refuses ${what} as INVALID_ARGUMENT of ${field}`, async () => {
        const name = await made();
        const said = new Said();
        for (const one of messages) said.say("queue" in one ? { ...one, queue: name } : one);
        const stream = fixture.as(asAnn).subscribe(said)[Symbol.asyncIterator]();
        await refused(stream.next(), Code.InvalidArgument, field);
      });
    }
  });
});

type Words = MessageInitShape<typeof SubscribeRequestSchema>;

async function* once(words: Words): AsyncGenerator<Words> {
  yield words;
}

/** What a client says, as it says it. */
class Said implements AsyncIterable<Words> {
  readonly #words: Words[] = [];
  #news = Promise.withResolvers<void>();
  #ended = false;

  say(words: Words): void {
    this.#words.push(words);
    this.#news.resolve();
  }

  end(): void {
    this.#ended = true;
    this.#news.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Words> {
    for (;;) {
      const next = this.#words.shift();
      if (next !== undefined) yield next;
      else if (this.#ended) return;
      else {
        await this.#news.promise;
        this.#news = Promise.withResolvers();
      }
    }
  }
}
