import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Sagas, startSagas } from "#mesh/saga/saga.ts";
import { sagaRoutes } from "#mesh/saga/saga-routes.ts";
import { defineService } from "#mesh/service.ts";
import { until } from "#mesh/storage/database.fixture.ts";
import type { Database } from "#mesh/storage/database.ts";
import { startMesh, type TestMesh } from "#mesh/testing.ts";
import type { CommandContext } from "../command-context.ts";
import { dataFolder } from "../supervisor/data-folder.ts";
import { paintFor } from "../terminal/paint.ts";
import { sagaList, sagaRetry, sagaShow } from "./saga.ts";

describe("heddle saga", () => {
  let mesh: TestMesh;
  let folder = "";
  let printed = "";
  let context: CommandContext;
  let sagas: Sagas;
  let database: Database;
  let mended = false;

  const noMigrations = mkdtempSync(join(tmpdir(), "heddle-none-"));
  const shop = defineService({
    name: "shop",
    port: 0,
    contracts: [],
    settings: {},
    migrations: pathToFileURL(`${noMigrations}/`),
    async start({ db, log, meter, scope, clock }) {
      const order = {
        name: "order",
        steps: [
          {
            name: "pay",
            timeoutMs: 1000,
            run: async (state: { item: string }) => state,
            maxAttempts: 1,
            compensate: async (state: { item: string }) => {
              if (!mended) throw new ConnectError("the bank is closed", Code.Unavailable, undefined, undefined);
              return state;
            },
          },
          {
            name: "ship",
            timeoutMs: 1000,
            run: async (state: { item: string }) => {
              if (state.item === "books") return state;
              throw new ConnectError("out of stock", Code.FailedPrecondition);
            },
          },
        ],
      };
      database = db;
      sagas = scope.use(await startSagas({ db, definitions: [order], log, meter, clock }));
      return { implementations: [], admin: sagaRoutes(sagas) };
    },
  });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "heddle-saga-cli-"));
    mesh = await startMesh([shop]);
    const out = { write: (text: string) => (printed += text), isTTY: false } as unknown as NodeJS.WriteStream;
    const env = { CONSUL_HTTP_ADDR: mesh.env.CONSUL_HTTP_ADDR, NO_COLOR: "1" };
    context = { root: folder, env, out, err: out, folder: dataFolder(folder, folder), paint: paintFor(out, env) };
    for (const item of ["books", "bread"]) {
      await database.transaction((tx) => sagas.begin(tx, "order", item, { item }));
    }
    await until(async () => (await sagas.get("bread"))?.status === "STUCK" && (await sagas.get("books"))?.status === "DONE");
  });

  after(async () => {
    await mesh[Symbol.asyncDispose]();
    for (const made of [folder, noMigrations]) await rm(made, { recursive: true, force: true });
  });

  beforeEach(() => {
    printed = "";
  });

  it("list shows the sagas of all services, and with --status those alone", async () => {
    assert.equal(await sagaList(context, { limit: 50 }), 0);
    assert.match(printed, /bread +shop +order +STUCK +pay/);
    assert.match(printed, /books +shop +order +DONE +ship/);
    printed = "";
    await sagaList(context, { limit: 50, status: "done" });
    assert.doesNotMatch(printed, /bread/);
    await assert.rejects(
      sagaList(context, { limit: 50, status: "x" }),
      /status: expected RUNNING, COMPENSATING, STUCK, DONE, COMPENSATED/,
    );
  });

  it("show prints every attempt with its message, and fails for an id that nobody has", async () => {
    await sagaShow(context, "bread", {});
    assert.match(printed, /^bread order of shop: STUCK at pay\nwhy: out of stock\nnext attempt: /);
    assert.match(printed, /run +ship +1 +\d+ ms +refused +FAILED_PRECONDITION: out of stock/);
    assert.match(printed, /compensate +pay +1 +\d+ ms +failed +UNAVAILABLE: the bank is closed/);
    await assert.rejects(sagaShow(context, "none", {}), /no service that answers has a saga none/);
  });

  it("retry makes a stuck saga try again at once, and refuses for one that has ended", async () => {
    mended = true;
    await sagaRetry(context, "bread");
    assert.equal(printed, "bread of shop is COMPENSATING at pay, and tries again now\n");
    await until(async () => (await sagas.get("bread"))?.status === "COMPENSATED");
    await assert.rejects(sagaRetry(context, "books"), /shop: the saga has ended: it is DONE/);
  });
});
