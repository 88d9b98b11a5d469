import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { Order } from "#gen/queue/v1/message_pb.ts";
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
  type Fixture,
  freshDatabase,
  json,
  refused,
  seconds,
  serve,
  silent,
} from "./queue.fixture.ts";

describe("queue service: queues", () => {
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
});
