import assert from "node:assert/strict";
import type { Database } from "#mesh/storage/database.ts";
import { needRabbit, type RabbitServer, startRabbit } from "../../e2e/servers/rabbitmq.ts";
import { backendContract } from "./backend.contract.ts";
import type { Backend } from "./backend.ts";
import { orderContract } from "./order.contract.ts";
import { eventually, freshDatabase, message, newQueue, silent } from "./queue.fixture.ts";
import type { Delivery, Queue } from "./queue.ts";
import { openRabbitBackend } from "./rabbit-backend.ts";

describe("queue backend over RabbitMQ", () => {
  let store: Awaited<ReturnType<typeof freshDatabase>>;
  let server: RabbitServer;
  before(async function () {
    this.timeout(120_000);
    const program = needRabbit(this);
    store = await freshDatabase();
    server = await startRabbit(program);
  });
  after(async () => {
    await store?.db[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const storeOf = () => ({ db: store.db, open: () => openTestBackend(store.db, server) });

  backendContract(storeOf);
  orderContract(storeOf);
});

describe("an ordered queue when RabbitMQ and the instance that holds it are killed", () => {
  it("brings nothing again that was settled", async function () {
    this.timeout(120_000);
    const program = needRabbit(this);
    const { db } = await freshDatabase();
    await using undo = new AsyncDisposableStack();
    undo.use(db);
    const server = undo.use(await startRabbit(program));
    const open = () => openTestBackend(db, server);
    const holder = await open();
    const queue = await newQueue(db, holder, { ordered: true });
    const some = Array.from({ length: 50 }, (_, n) => message(n + 1, { orderingKey: "k" }));
    await holder.publish(queue, some);
    const seen: unknown[] = [];
    for (let n = 1; n <= 30; n++) {
      const [delivery] = await take(holder, queue);
      seen.push(JSON.parse(delivery?.data ?? ""));
      assert.deepEqual([...(await holder.ack(queue, [delivery?.token ?? ""]))], [delivery?.token]);
    }
    await server.kill();
    await holder[Symbol.asyncDispose]();
    await server.restart();
    await using next = await open();
    while (seen.length < 50) {
      const [delivery] = await take(next, queue);
      seen.push(JSON.parse(delivery?.data ?? ""));
      await next.ack(queue, [delivery?.token ?? ""]);
    }
    assert.deepEqual(
      seen,
      some.map(({ data }) => JSON.parse(data)),
    );
  });
});

/** Takes one, however long the broker is away. */
async function take(from: Backend, queue: Queue): Promise<Delivery[]> {
  const taken: Delivery[] = [];
  await eventually("a message", async () => {
    taken.push(...(await from.take(queue, 1, 30_000).catch(() => [])));
    return taken.length > 0;
  });
  return taken;
}

function openTestBackend(db: Database, server: RabbitServer): Promise<Backend> {
  return openRabbitBackend({ db, url: new URL(server.url), prefix: "test.", log: silent, clock: Date.now, sweepMs: 100 });
}
