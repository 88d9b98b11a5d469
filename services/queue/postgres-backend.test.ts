import { backendContract } from "./backend.contract.ts";
import { orderContract } from "./order.contract.ts";
import { openPostgresBackend } from "./postgres-backend.ts";
import { freshDatabase, silent } from "./queue.fixture.ts";

describe("queue backend over PostgreSQL", () => {
  let store: Awaited<ReturnType<typeof freshDatabase>>;
  before(async () => {
    store = await freshDatabase();
  });
  after(() => store.db[Symbol.asyncDispose]());

  const open = () => openPostgresBackend({ db: store.db, log: silent, clock: Date.now, sweepMs: 100 });
  const storeOf = () => ({ db: store.db, open });

  backendContract(storeOf);
  orderContract(storeOf);
});
