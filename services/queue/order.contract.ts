/** The order per key that every backend keeps, as tests: run over PostgreSQL and over RabbitMQ. */
import assert from "node:assert/strict";
import type { Database } from "#mesh/storage/database.ts";
import type { Store } from "./backend.contract.ts";
import type { Backend } from "./backend.ts";
import { listDeadLetters } from "./dead-letter-store.ts";
import { eventually, message, newQueue } from "./queue.fixture.ts";
import type { Delivery, NewMessage, Queue } from "./queue.ts";

/** Declares the suite's tests; call it in a describe. */
export function orderContract(storeOf: () => Store): void {
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

  describe("order per key", () => {
    const ordered = () => newQueue(db, backend, { ordered: true });
    const keyed = (key: string, n: number, more: Partial<NewMessage> = {}) =>
      message(`${key}${n}`, { orderingKey: key, ...more });

    it("opens one message per key at a time, the next one when it is done", async () => {
      const queue = await ordered();
      await publish(queue, keyed("a", 1), keyed("a", 2), keyed("b", 1), keyed("a", 3), keyed("b", 2));
      const first = await take(queue, 2);
      assert.deepEqual(dataOf(first).sort(), ["a1", "b1"]);
      assert.deepEqual(await backend.take(queue, 10, 30_000), []);
      assert.deepEqual(await other.take(queue, 10, 30_000), []);
      const a = first.find(({ data }) => data === '"a1"');
      await other.ack(queue, [a?.token ?? ""]);
      const [second] = await take(queue, 1, other);
      assert.equal(second?.data, '"a2"');
      assert.deepEqual(await backend.take(queue, 10, 30_000), []);
    });

    it("lets nothing of its key pass a message that was given back, or that was not settled in time", async () => {
      const queue = await ordered();
      await publish(queue, keyed("a", 1), keyed("a", 2), keyed("b", 1));
      const first = await take(queue, 2);
      const a = first.find(({ data }) => data === '"a1"');
      await backend.nack(queue, [a?.token ?? ""], 500, "");
      assert.deepEqual(await backend.take(queue, 10, 30_000), []);
      const [again] = await take(queue, 1, backend, 1000);
      assert.deepEqual([again?.data, again?.deliveryCount], ['"a1"', 2]);
      const [third] = await take(queue);
      assert.deepEqual([third?.data, third?.deliveryCount], ['"a1"', 3]);
      await backend.ack(queue, [third?.token ?? ""]);
      assert.deepEqual(dataOf(await take(queue)), ["a2"]);
    });

    it("goes on with a key when its first message became a dead letter", async () => {
      const queue = await newQueue(db, backend, { ordered: true, maxDeliveries: 1 });
      await publish(queue, keyed("a", 1), keyed("a", 2));
      const [first] = await take(queue);
      await backend.nack(queue, [first?.token ?? ""], 0, "bad");
      assert.deepEqual(dataOf(await take(queue)), ["a2"]);
      assert.equal((await deadOf(queue)).length, 1);
    });

    it("gives messages without a key to as many as ask", async () => {
      const queue = await ordered();
      await publish(queue, message(1), message(2), message(3));
      assert.deepEqual(dataOf(await take(queue, 3)).sort(), [1, 2, 3]);
    });

    it("keeps 20 keys of 25 messages in order, with two instances, nacks, and two messages in each call", async () => {
      const queue = await ordered();
      for (let n = 0; n < 25; n++) await publish(queue, ...Array.from({ length: 20 }, (_, k) => keyed(`k${k}-`, n)));
      const done = new Map<string, number[]>();
      let open = 0;
      const consume = async (from: Backend) => {
        for (let turn = 0; done.values().reduce((sum, { length }) => sum + length, 0) < 500; turn++) {
          const deliveries = await from.take(queue, 2, 30_000);
          // An answer may come without I/O: who asks again at once keeps the messages from arriving.
          if (deliveries.length === 0) await new Promise((resolve) => setImmediate(resolve));
          for (const [index, delivery] of deliveries.entries()) {
            open += 1;
            if ((turn + index) % 7 === 0 && delivery.deliveryCount === 1) await from.nack(queue, [delivery.token], 0, "");
            else {
              const n = Number((JSON.parse(delivery.data) as string).split("-")[1]);
              done.set(delivery.orderingKey, [...(done.get(delivery.orderingKey) ?? []), n]);
              await from.ack(queue, [delivery.token]);
            }
          }
        }
      };
      await Promise.all([consume(backend), consume(other), consume(backend)]);
      assert.equal(done.size, 20);
      for (const [key, numbers] of done) {
        assert.deepEqual(
          numbers,
          Array.from({ length: 25 }, (_, n) => n),
          key,
        );
      }
      assert.ok(open > 500);
    }).timeout(60_000);
  });
}
