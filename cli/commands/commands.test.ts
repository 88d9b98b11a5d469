import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unauthenticated } from "#mesh/errors.ts";
import { platform } from "../../services/platform.ts";
import type { PlatformStatus } from "../supervisor/control-server.ts";
import { paintFor } from "../terminal/paint.ts";
import { statusJson } from "./call.ts";
import { findMethod, loadContracts, typesOf } from "./contracts.ts";
import { upstreamsOf } from "./gateway.ts";
import { LogFollower, lastLines } from "./log-tail.ts";
import { statusLines } from "./status.ts";

const root = join(import.meta.dirname, "../..");

describe("heddle call", () => {
  const contracts = loadContracts(root);

  it("finds a method by pkg.Service/Method and by pkg.Service.Method", () => {
    for (const name of ["auth.v1.AuthService/Login", "auth.v1.AuthService.Login", "/auth.v1.AuthService/Login"]) {
      assert.equal(findMethod(contracts, name).name, "Login");
    }
  });

  it("writes an error as google.rpc.Status, details included", () => {
    assert.deepEqual(statusJson(unauthenticated("TOKEN_EXPIRED", "the token has expired"), typesOf(contracts)), {
      code: 16,
      message: "the token has expired",
      details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "TOKEN_EXPIRED", domain: "heddle" }],
    });
  });
});

describe("heddle gateway", () => {
  it("reads upstreams, several of one contract", () => {
    const upstreams = upstreamsOf(["a.v1.A=127.0.0.1:1", "a.v1.A=[::1]:2", "b.B=host.example:65535"]);
    assert.deepEqual(
      [...upstreams],
      [
        ["a.v1.A", ["127.0.0.1:1", "[::1]:2"]],
        ["b.B", ["host.example:65535"]],
      ],
    );
  });

  for (const word of ["a.v1.A", "a.v1.A=", "=host:1", "a.v1.A=host", "a.v1.A=host:x"]) {
    it(`refuses ${word}`, () => {
      const message = `--upstream: expected pkg.Service=host:port, got ${JSON.stringify(word)}`;
      assert.throws(() => upstreamsOf([word]), { message, exitCode: 2 });
    });
  }
});

describe("heddle logs", () => {
  let folder = "";
  let path = "";

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "heddle-logs-"));
    path = join(folder, "a.log");
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  it("reads the last 2 of 100,000 lines, fewer when there are fewer, none of a file that is not there", () => {
    writeFileSync(path, Array.from({ length: 100_000 }, (_, n) => `line ${n}\n`).join(""));
    assert.deepEqual(lastLines(path, 2), ["line 99998", "line 99999"]);
    writeFileSync(path, "one\ntwo");
    assert.deepEqual(lastLines(path, 10), ["one", "two"]);
    assert.deepEqual(lastLines(join(folder, "b.log"), 10), []);
  });

  it("follows a file: whole lines only, also after it was started over", () => {
    writeFileSync(path, "before\n");
    const follower = new LogFollower(path);
    appendFileSync(path, "one\ntw");
    assert.deepEqual(follower.read(), ["one"]);
    appendFileSync(path, "o\n");
    assert.deepEqual(follower.read(), ["two"]);
    truncateSync(path);
    assert.deepEqual(follower.read(), []);
    appendFileSync(path, "anew\n");
    assert.deepEqual(follower.read(), ["anew"]);
  });
});

describe("heddle status", () => {
  it("shows every process, and its cause where it is not ready", () => {
    const common = { service: "auth", adminPort: 8001, restarts: 2, memoryRestarts: 0, port: 7001 };
    const status: PlatformStatus = {
      pid: 7,
      phase: "running",
      why: "",
      startedAt: 0,
      data: "/data",
      registry: { address: "http://127.0.0.1:8500", embedded: true },
      postgres: undefined,
      processes: [
        { ...common, name: "auth-1", state: "ready", why: "", pid: 8, uptimeMs: 61_000, memoryBytes: 2 ** 26 },
        {
          ...common,
          name: "auth-2",
          state: "backoff",
          why: "it ended with code 1",
          pid: undefined,
          uptimeMs: undefined,
          memoryBytes: undefined,
        },
      ],
    };
    assert.deepEqual(statusLines(status, paintFor({}, {}), 200, 62_000), [
      "platform running, up 1 min 2 s, pid 7, 64 MiB in all",
      "registry http://127.0.0.1:8500 (embedded), data /data",
      "",
      "process  state    pid  port  restarts         up  memory",
      "auth-1   ready      8  7001         2  1 min 1 s  64 MiB",
      "auth-2   backoff    -  7001         2          -       -  it ended with code 1",
    ]);
    const refused = { reason: "a.v1.A.Get and a.v1.A.Other both map GET", at: "2030-01-01T00:00:00.000Z" };
    const contracts = {
      source: "image contracts.binpb",
      version: "0123456789ab",
      loaded_at: "2029-01-01T00:00:00.000Z",
      refused,
    };
    const at = (port: number, more: object) => ({
      id: "",
      address: "",
      port,
      url: `http://a:${port}`,
      version: "",
      health: "passing",
      outside: false,
      ...more,
    });
    const services = [
      { name: "auth", instances: [at(7001, {})] },
      { name: "tariff", instances: [at(9200, { health: "critical", outside: true, version: "2.4" })] },
    ];
    assert.deepEqual(statusLines(status, paintFor({}, {}), 200, 62_000, undefined, services).slice(3), [
      "process  state    pid  port  restarts         up  memory  health",
      "auth-1   ready      8  7001         2  1 min 1 s  64 MiB  passing",
      "auth-2   backoff    -  7001         2          -       -  passing  it ended with code 1",
      "",
      "outside the mesh  health    version  url",
      "tariff            critical  2.4      http://a:9200",
    ]);
    assert.deepEqual(statusLines(status, paintFor({}, {}), 200, 62_000, contracts).slice(2, 5), [
      "contracts 0123456789ab from image contracts.binpb, since 2029-01-01T00:00:00.000Z",
      "contracts refused at 2030-01-01T00:00:00.000Z:",
      "  a.v1.A.Get and a.v1.A.Other both map GET",
    ]);
  });
});

describe("services/platform.ts", () => {
  for (const { name, entry, port } of platform.filter(({ discovered }) => discovered)) {
    it(`${name} has the name and port ${port} of its own definition`, async () => {
      const module: Record<string, unknown> = await import(join(root, entry));
      const definitions = Object.values(module) as { readonly name?: string; readonly port?: number }[];
      assert.deepEqual(
        definitions.map((definition) => [definition.name, definition.port]),
        [[name, port]],
      );
    });
  }
});
