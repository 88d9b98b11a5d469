import { needRabbit, type RabbitServer, startRabbit } from "../../e2e/servers/rabbitmq.ts";
import { backendContract } from "./backend.contract.ts";
import { orderContract } from "./order.contract.ts";
import { freshDatabase, silent } from "./queue.fixture.ts";
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

  const open = () =>
    openRabbitBackend({ db: store.db, url: new URL(server.url), prefix: "test.", log: silent, clock: Date.now, sweepMs: 100 });

  const storeOf = () => ({ db: store.db, open });

  backendContract(storeOf);
  orderContract(storeOf);
});
