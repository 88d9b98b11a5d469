import { backendContract } from "./backend.contract.ts";
import { openPostgresBackend } from "./postgres-backend.ts";
import { freshDatabase, silent } from "./queue.fixture.ts";

describe("queue backend over PostgreSQL", () => {
  let store: Awaited<ReturnType<typeof freshDatabase>>;
  before(async () => {
    store = await freshDatabase();
  });
  after(() => store.db[Symbol.asyncDispose]());

  backendContract(() => ({
    db: store.db,
    open: () => openPostgresBackend({ db: store.db, log: silent, clock: Date.now, sweepMs: 100 }),
  }));
});
