import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
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
  type Fixture,
  freshDatabase,
  json,
  refused,
  seconds,
  serve,
  silent,
} from "./queue.fixture.ts";

describe("queue service: access", () => {
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
  const _pullOne = async (queue: string, who: Who = asAnn) => {
    const { deliveries } = await fixture.as(who).pull({ queue, wait: seconds(5) });
    return deliveries[0] ?? assert.fail("expected a delivery");
  };

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
});

type Words = MessageInitShape<typeof SubscribeRequestSchema>;

async function* once(words: Words): AsyncGenerator<Words> {
  yield words;
}
