import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ServiceImpl } from "@connectrpc/connect";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { EchoService } from "./server/echo.fixture.ts";
import type { HealthDetail } from "./server/health.ts";
import { implement } from "./server/implementation.ts";
import { defineService, type RunningService } from "./service.ts";
import { startMesh, testDatabase } from "./testing.ts";

/** A TCP proxy whose other end can be taken away and given back. */
async function startProxy(target: URL) {
  let away = false;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    if (away) {
      near.destroy();
      return;
    }
    const far = connect(Number(target.port), target.hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("error", () => undefined).on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(target);
  const address = server.address();
  url.host = `127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  return {
    url: url.href,
    take() {
      away = true;
      cut();
    },
    giveBack() {
      away = false;
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function detailOf({ adminPort }: RunningService): Promise<HealthDetail> {
  return (await (await fetch(`http://127.0.0.1:${adminPort}/health/detailed`)).json()) as HealthDetail;
}

/** Milliseconds until it holds; fails after 5 s. */
async function timeUntil(condition: () => Promise<boolean>): Promise<number> {
  const begun = performance.now();
  while (!(await condition())) {
    assert(performance.now() < begun + 5000, `not within 5 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - begun;
}

describe("the health of a running service", () => {
  const backend = defineService({
    name: "backend",
    port: 1,
    contracts: [AuthService],
    settings: {},
    start: () => ({ implementations: [{ service: AuthService, methods: {} }] }),
  });
  const undo = new AsyncDisposableStack();
  let database: Awaited<ReturnType<typeof startProxy>>;
  let services: ReadonlyMap<string, RunningService>;
  let front: RunningService;
  let query: () => Promise<unknown>;

  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), "heddle-service-"));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    database = undo.use(await startProxy(new URL(await testDatabase())));
    const withDatabase = defineService({
      name: "front",
      port: 1,
      contracts: [EchoService],
      needs: [AuthService],
      settings: {},
      migrations: pathToFileURL(`${folder}/`),
      start({ db }) {
        query = () => db.query("select 1");
        return { implementations: [implement(EchoService, {} as ServiceImpl<typeof EchoService>)] };
      },
    });
    const mesh = undo.use(await startMesh([backend, withDatabase], { env: { FRONT_DATABASE_URL: database.url } }));
    services = mesh.services;
    front = services.get("front") as RunningService;
  });
  after(() => undo.disposeAsync());

  it("lists database, event loop, memory, disk, and each contract that it needs; the database alone is critical", async () => {
    await timeUntil(async () => (await detailOf(front)).checks.every(({ status }) => status === "UP"));
    const { status, checks } = await detailOf(front);
    assert.deepEqual(
      [status, checks.map(({ name, critical }) => [name, critical])],
      [
        "UP",
        [
          ["database", true],
          ["event-loop", false],
          ["memory", false],
          ["disk", false],
          ["needs auth.v1.AuthService", false],
        ],
      ],
    );
  });

  it("follows the database at once, not at the next round of checks: DOWN when a call finds it away, UP when it is back", async () => {
    // The second follows the first within one round, so one of the two at least does not come from the round.
    for (let turn = 0; turn < 2; turn++) {
      database.take();
      await assert.rejects(query());
      const downMs = await timeUntil(async () => (await detailOf(front)).status === "DOWN");
      database.giveBack();
      const upMs = await timeUntil(async () => (await detailOf(front)).status === "UP");
      assert(downMs < 300 && upMs < 900, `down after ${downMs} ms, up after ${upMs} ms`);
    }
  });

  it("a service that it needs and that has gone makes it DEGRADED, and it goes on to serve", async () => {
    await services.get("backend")?.stop();
    await timeUntil(async () => (await detailOf(front)).status === "DEGRADED");
    const { checks } = await detailOf(front);
    assert.deepEqual(
      checks.filter(({ status }) => status !== "UP").map(({ name, detail }) => [name, detail]),
      [["needs auth.v1.AuthService", "no healthy instance serves auth.v1.AuthService"]],
    );
    assert.equal((await fetch(`http://127.0.0.1:${front.adminPort}/readyz`)).status, 200);
  });
});
