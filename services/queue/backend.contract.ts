/** What every backend keeps, as tests: run over PostgreSQL and over RabbitMQ. */
import assert from "node:assert/strict";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Backend } from "./backend.ts";
import { listDeadLetters } from "./dead-letter-store.ts";
import { eventually, message, newQueue } from "./queue.fixture.ts";
import type { Delivery, NewMessage, Queue } from "./queue.ts";
import { deleteQueue } from "./store.ts";

/** Where a backend keeps its messages, for as many instances as a test opens. */
export interface Store {
  readonly db: Database;
  open(): Promise<Backend>;
}

/** Declares the suite's tests; call it in a describe. */
export function backendContract(storeOf: () => Store): void {
  let db: Database;
  let backend: Backend;
  let other: Backend;
  before(async () => {
    ({ db } = storeOf());
    [backend, other] = [await storeOf().open(), await storeOf().open()];
  });
  after(async () => {
    await backend?.[Symbol.asyncDispose]();
    await other?.[Symbol.asyncDispose]();
  });

  const dataOf = (deliveries: readonly Delivery[]) => deliveries.map(({ data }) => JSON.parse(data) as unknown);
  const tokensOf = (deliveries: readonly Delivery[]) => deliveries.map(({ token }) => token);
  /** Takes until there are `count`, as one who waits would. */
  const take = async (queue: Queue, count = 1, from = backend, visibilityMs = 30_000) => {
    const all: Delivery[] = [];
    await eventually(`${count} messages`, async () => {
      all.push(...(await from.take(queue, count - all.length, visibilityMs)));
      return all.length === count;
    });
    return all;
  };
  const publish = (queue: Queue, ...messages: NewMessage[]) => backend.publish(queue, messages);
  const deadOf = (queue: Queue) => listDeadLetters(db, queue.id, { size: 100, after: undefined });
  const counts = async (queue: Queue) => {
    const { ready, inFlight, scheduled } = await backend.count(queue);
    return [ready, inFlight, scheduled];
  };

  describe("publish and take", () => {
    it("delivers data, headers, priority and times as they were published", async () => {
      const queue = await newQueue(db, backend);
      const data = { text: "ä\u0000\ud83d\ude00", number: 1.5, list: [null, true], big: "9007199254740993" };
      const sent = message(data, { headers: { "content-type": "x/y", ö: "ü" }, priority: 7 });
      await publish(queue, sent);
      const [got] = await take(queue);
      assert.ok(got !== undefined);
      assert.deepEqual([got.messageId, got.data, got.headers], [sent.id, sent.data, sent.headers]);
      assert.deepEqual([got.priority, got.orderingKey, got.deliveryCount], [7, "", 1]);
      assert.equal(got.publishTime, sent.publishTime);
      assert.ok(Math.abs(got.visibleTime - Date.now() - 30_000) < 5000);
    });

    it("gives 250 of one batch to three takes of 100, each once, oldest first", async () => {
      const queue = await newQueue(db, backend);
      await publish(queue, ...Array.from({ length: 250 }, (_, n) => message(n)));
      const seen: unknown[] = [];
      for (const size of [100, 100, 50]) seen.push(...dataOf(await take(queue, size)));
      assert.deepEqual(
        seen,
        Array.from({ length: 250 }, (_, n) => n),
      );
      assert.deepEqual(await backend.take(queue, 100, 30_000), []);
    });

    it("gives higher priorities first", async () => {
      const queue = await newQueue(db, backend);
      await publish(queue, ...[0, 9, 3, 9, 5].map((priority, n) => message(n, { priority })));
      await eventually("all to be ready", async () => (await backend.count(queue)).ready === 5);
      assert.deepEqual(dataOf(await take(queue, 5)), [1, 3, 4, 2, 0]);
    });

    it("gives each message to one of two instances that take at the same time", async () => {
      const queue = await newQueue(db, backend);
      await publish(queue, ...Array.from({ length: 200 }, (_, n) => message(n)));
      const seen: unknown[] = [];
      await eventually("all", async () => {
        const both = await Promise.all([backend.take(queue, 20, 30_000), other.take(queue, 20, 30_000)]);
        seen.push(...dataOf(both.flat()));
        return seen.length >= 200;
      });
      assert.deepEqual([seen.length, new Set(seen).size], [200, 200]);
    });

    it("gives as much as fits into an answer, and counts no delivery of the rest", async () => {
      const queue = await newQueue(db, backend);
      const long = "x".repeat(250_000);
      for (let n = 0; n < 12; n++) await publish(queue, message(long));
      const first = await eventually("some", async () => {
        const some = await backend.take(queue, 12, 30_000);
        return some.length > 0 && some;
      });
      assert.ok(first.length > 1 && first.length < 12, `${first.length}`);
      const rest = await take(queue, 12 - first.length);
      assert.ok(rest.every(({ deliveryCount }) => deliveryCount === 1));
    });

    it("keeps queues apart", async () => {
      const [one, two] = [await newQueue(db, backend), await newQueue(db, backend)];
      await publish(one, message("one"));
      assert.deepEqual(await backend.take(two, 1, 30_000), []);
      assert.deepEqual(dataOf(await take(one)), ["one"]);
    });

    it("tells other instances that there is something to take", async () => {
      const queue = await newQueue(db, backend);
      let heard = 0;
      using _ = other.onReady((id) => {
        if (id === queue.id) heard += 1;
      });
      await publish(queue, message(1));
      await eventually("the news", async () => heard > 0);
    });

    it("publishes nothing when the work beside it throws", async () => {
      const queue = await newQueue(db, backend);
      const failing = backend.publish(queue, [message(1)], async () => {
        throw new Error("no");
      });
      await assert.rejects(failing, /no/);
      assert.deepEqual(await counts(queue), [0, 0, 0]);
    });

    it("publishes what the work beside it answers with", async () => {
      const queue = await newQueue(db, backend);
      const [first, second] = [message(1), message(2)];
      await backend.publish(queue, [first, second], async () => [second]);
      assert.deepEqual(dataOf(await take(queue)), [2]);
      assert.deepEqual(await backend.take(queue, 1, 30_000), []);
    });
  });

  describe("settling", () => {
    it("acknowledges once: the second time, and with a foreign token, the delivery is not open", async () => {
      const queue = await newQueue(db, backend);
      await publish(queue, message(1), message(2));
      const [one, two] = await take(queue, 2);
      assert.ok(one !== undefined && two !== undefined);
      assert.deepEqual([...(await backend.ack(queue, [one.token, "nonsense", "", uuidv7()]))], [one.token]);
      assert.deepEqual([...(await backend.ack(queue, [one.token]))], []);
      assert.deepEqual([...(await backend.nack(queue, [one.token], 0, ""))], []);
      assert.deepEqual([...(await backend.extend(queue, [one.token], 30_000))], []);
      const stranger = await newQueue(db, backend);
      assert.deepEqual([...(await backend.ack(stranger, [two.token]))], []);
      assert.deepEqual([...(await backend.ack(queue, [two.token]))], [two.token]);
      assert.deepEqual(await counts(queue), [0, 0, 0]);
    });

    it("settles a delivery that another instance took", async () => {
      const queue = await newQueue(db, backend);
      await publish(queue, message(1), message(2), message(3));
      const [one, two, three] = tokensOf(await take(queue, 3));
      assert.ok(one !== undefined && two !== undefined && three !== undefined);
      assert.deepEqual([...(await other.extend(queue, [three], 40_000))], [three]);
      assert.deepEqual([...(await other.ack(queue, [one]))], [one]);
      assert.deepEqual([...(await other.nack(queue, [two], 0, ""))], [two]);
      const [again] = await take(queue, 1, other);
      assert.deepEqual([again?.data, again?.deliveryCount], ["2", 2]);
    });

    it("delivers what was given back again, counted, and its old token is void", async () => {
      const queue = await newQueue(db, backend);
      await publish(queue, message("x", { headers: { a: "b" } }));
      const [first] = await take(queue);
      assert.ok(first !== undefined);
      await backend.nack(queue, [first.token], 0, "busy");
      const [second] = await take(queue);
      assert.ok(second !== undefined);
      assert.deepEqual([second.messageId, second.deliveryCount, second.headers], [first.messageId, 2, { a: "b" }]);
      assert.equal(second.publishTime, first.publishTime);
      assert.deepEqual([...(await backend.ack(queue, [first.token]))], []);
      assert.deepEqual([...(await backend.ack(queue, [second.token]))], [second.token]);
    });

    it("delivers what was given back for later only then", async () => {
      const queue = await newQueue(db, backend);
      await publish(queue, message(1));
      const [first] = await take(queue);
      const from = Date.now();
      await backend.nack(queue, [first?.token ?? ""], 1000, "");
      assert.deepEqual(await counts(queue), [0, 0, 1]);
      assert.deepEqual(await backend.take(queue, 1, 30_000), []);
      await take(queue);
      assert.ok(Date.now() - from >= 990, `${Date.now() - from}`);
    });

    it("delivers again what nobody settled within 1 s, and the token is void", async () => {
      const queue = await newQueue(db, backend);
      await publish(queue, message(1));
      const [first] = await take(queue, 1, backend, 1000);
      const from = Date.now();
      const [second] = await take(queue, 1, other);
      assert.ok(Date.now() - from >= 900, `${Date.now() - from}`);
      assert.deepEqual([second?.messageId, second?.deliveryCount], [first?.messageId, 2]);
      assert.deepEqual([...(await backend.ack(queue, [first?.token ?? ""]))], []);
      assert.deepEqual([...(await backend.ack(queue, [second?.token ?? ""]))], [second?.token]);
    });

    it("keeps a delivery that was extended", async () => {
      const queue = await newQueue(db, backend);
      await publish(queue, message(1));
      const [first] = await take(queue, 1, backend, 1000);
      assert.ok(first !== undefined);
      assert.deepEqual([...(await backend.extend(queue, [first.token], 20_000))], [first.token]);
      const until = first.visibleTime + 1200;
      await eventually("the first time to pass", async () => Date.now() > until);
      assert.deepEqual(await backend.take(queue, 1, 30_000), []);
      assert.deepEqual([...(await backend.ack(queue, [first.token]))], [first.token]);
    });

    it("makes a dead letter of the third nack with max_deliveries 3, with its reason", async () => {
      const queue = await newQueue(db, backend, { maxDeliveries: 3 });
      const sent = message({ a: 1 }, { headers: { h: "v" }, priority: 4 });
      await publish(queue, sent);
      for (const reason of ["first", "second", "third"]) {
        const [delivery] = await take(queue);
        await backend.nack(queue, [delivery?.token ?? ""], 0, reason);
      }
      const [letter, ...more] = await deadOf(queue);
      assert.ok(letter !== undefined);
      assert.equal(more.length, 0);
      assert.deepEqual([letter.messageId, letter.data, letter.headers, letter.priority], [sent.id, sent.data, sent.headers, 4]);
      assert.deepEqual([letter.deliveryCount, letter.reason, letter.publishTime], [3, "third", sent.publishTime]);
      assert.deepEqual(await counts(queue), [0, 0, 0]);
    });

    it("makes a dead letter of what nobody settles with max_deliveries 1", async () => {
      const queue = await newQueue(db, backend, { maxDeliveries: 1 });
      await publish(queue, message(1));
      await take(queue, 1, backend, 1000);
      const [letter] = await eventually("the dead letter", async () => {
        const letters = await deadOf(queue);
        return letters.length > 0 && letters;
      });
      assert.deepEqual([letter?.deliveryCount, letter?.reason], [1, "the visibility timeout passed without an answer"]);
    });
  });

  describe("time", () => {
    it("delivers a scheduled message at its time, lists it until then, and by time", async () => {
      const queue = await newQueue(db, backend);
      const now = Date.now();
      const [late, soon] = [
        message("late", { dueTime: now + 60_000, headers: { a: "b" } }),
        message("soon", { dueTime: now + 1500 }),
      ];
      await publish(queue, late, soon, message("now"));
      assert.deepEqual(dataOf(await take(queue)), ["now"]);
      const listed = await backend.listScheduled(queue, 10, undefined);
      assert.deepEqual(
        listed.map(({ messageId, dueTime, data }) => [messageId, dueTime, data]),
        [
          [soon.id, soon.dueTime, '"soon"'],
          [late.id, late.dueTime, '"late"'],
        ],
      );
      const [first] = listed;
      assert.ok(first !== undefined);
      const rest = await backend.listScheduled(queue, 10, { dueTime: first.dueTime, messageId: first.messageId });
      assert.deepEqual(
        rest.map(({ messageId, headers }) => [messageId, headers]),
        [[late.id, { a: "b" }]],
      );
      assert.deepEqual(await counts(queue), [0, 1, 2]);
      const [delivery] = await take(queue);
      assert.deepEqual([delivery?.data, delivery?.deliveryCount], ['"soon"', 1]);
      assert.ok(Date.now() >= now + 1490);
    });

    it("takes back a scheduled message once, and no other", async () => {
      const queue = await newQueue(db, backend);
      const [later, now] = [message(1, { dueTime: Date.now() + 60_000 }), message(2)];
      await publish(queue, later, now);
      assert.equal(await backend.cancelScheduled(queue, now.id), false);
      assert.equal(await backend.cancelScheduled(queue, later.id), true);
      assert.equal(await backend.cancelScheduled(queue, later.id), false);
      assert.deepEqual(await backend.listScheduled(queue, 10, undefined), []);
    });

    it("purges what waits and what is scheduled, and leaves open deliveries", async () => {
      const queue = await newQueue(db, backend);
      await publish(queue, message(1), message(2), message(3), message(4, { dueTime: Date.now() + 60_000 }));
      const [open] = await take(queue);
      await eventually("two to wait", async () => (await backend.count(queue)).ready === 2);
      assert.equal(await backend.purge(queue), 3);
      assert.deepEqual(await counts(queue), [0, 1, 0]);
      assert.deepEqual([...(await backend.ack(queue, [open?.token ?? ""]))], [open?.token]);
    });
  });

  describe("queues", () => {
    it("are made and removed as often as asked, with all that is in them", async () => {
      const queue = await newQueue(db, backend);
      await backend.create(queue);
      await publish(queue, message(1), message(2, { dueTime: Date.now() + 60_000 }));
      await backend.remove(queue);
      await backend.remove(queue);
      await deleteQueue(db, queue.id);
      await assert.rejects(publish(queue, message(3)));
      await backend.create(queue);
      assert.deepEqual(await backend.take(queue, 10, 30_000), []);
    });

    it("keep messages and counts when an instance ends", async () => {
      const queue = await newQueue(db, backend);
      const third = await storeOf().open();
      await third.publish(queue, [message(1), message(2)]);
      await take(queue, 1, third, 1000);
      await third[Symbol.asyncDispose]();
      const all = await take(queue, 2, other);
      assert.deepEqual(dataOf(all).sort(), [1, 2]);
      assert.deepEqual(all.map(({ deliveryCount }) => deliveryCount).sort(), [1, 2]);
    });
  });
}
