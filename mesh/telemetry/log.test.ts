import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type CallContext, runWithContext } from "../context.ts";
import { unavailable } from "../errors.ts";
import { createLogger } from "./log.ts";
import { isSecretName, redact } from "./redact.ts";

function logLines(work: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  work(createLogger({ service: "auth", instance: "auth-1", level: "info", destination }));
  return lines;
}

const context: CallContext = {
  deadline: Number.POSITIVE_INFINITY,
  signal: new AbortController().signal,
  principal: undefined,
  caller: undefined,
  trace: { traceId: "a".repeat(32), spanId: "b".repeat(16), flags: 1, state: "" },
  correlationId: "abc",
  criticality: "CRITICAL",
  client: { address: "", userAgent: "" },
};

describe("createLogger", () => {
  it("a line carries level, service and instance; inside a call also the correlation and trace ids", () => {
    const lines = logLines((log) => {
      log.info({ port: 7001 }, "listening");
      log.debug("too fine");
      runWithContext(context, () => log.warn("in a call"));
    });
    const identity = { service: "auth", instance: "auth-1" };
    assert.deepEqual(
      lines.map(({ time, ...line }) => line),
      [
        { level: "info", ...identity, port: 7001, msg: "listening" },
        { level: "warn", ...identity, correlationId: "abc", traceId: "a".repeat(32), msg: "in a call" },
      ],
    );
  });

  it("secrets are replaced in values, at depth, in lists, and in a child's bindings", () => {
    const lines = logLines((log) => {
      log.info({ headers: { Authorization: "Bearer x", "x-api-key": "k", host: "h" }, list: [{ password: "p" }, 1] }, "m");
      log.child({ refresh_token: "t", user: "ada" }).info("m");
    });
    assert.deepEqual(lines[0]?.headers, { Authorization: "[redacted]", "x-api-key": "[redacted]", host: "h" });
    assert.deepEqual(lines[0]?.list, [{ password: "[redacted]" }, 1]);
    assert.deepEqual([lines[1]?.refresh_token, lines[1]?.user], ["[redacted]", "ada"]);
  });

  it("a ConnectError is logged with its code by name and its details, without descriptors and metadata", () => {
    const error = unavailable("the database is away", 1000, new Error("ECONNREFUSED"));
    error.metadata.set("x-heddle-caller", "a-token");
    const [line] = logLines((log) => log.error({ err: error }, "m"));
    const { stack, ...fields } = (line?.err ?? {}) as Record<string, unknown>;
    assert.match(String(stack), /^ConnectError: .*the database is away.*ECONNREFUSED/s);
    assert.deepEqual(fields, {
      type: "ConnectError",
      code: "Unavailable",
      message: "[unavailable] the database is away: ECONNREFUSED",
      details: [{ type: "google.rpc.RetryInfo", value: { retryDelay: { seconds: 1, nanos: 0 } } }],
    });
  });

  it("an error is logged with its message, stack and cause", () => {
    const [line] = logLines((log) => log.error({ err: new Error("outer", { cause: new Error("inner") }) }, "m"));
    const text = JSON.stringify(line?.err);
    assert.match(text, /"message":"outer: inner"/);
    assert.match(text, /caused by: Error: inner/);
  });

  it("the last line before process.exit or a crash is written", () => {
    const module = fileURLToPath(new URL("./log.ts", import.meta.url));
    const script = (end: string) => `
      const { createLogger } = await import(${JSON.stringify(module)});
      createLogger({ service: "s", instance: "i", level: "info" }).info("last words");
      ${end}`;
    for (const end of ["process.exit(1)", "process.kill(process.pid, 'SIGKILL')", "throw new Error('crash')"]) {
      const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", script(end)], { encoding: "utf8" });
      assert.match(stdout, /"msg":"last words"}\n$/, end);
    }
  });
});

describe("redact", () => {
  for (const name of [
    "authorization",
    "X-API-Key",
    "api_key",
    "apiKey",
    "accessToken",
    "client_secret",
    "Set-Cookie",
    "mfa_code",
  ]) {
    it(`${name} is secret`, () => assert.equal(isSecretName(name), true));
  }
  for (const name of ["page_token", "nextPageToken", "tokens_left", "user", "secretary", "key"]) {
    it(`${name} is not`, () => assert.equal(isSecretName(name), false));
  }

  it("what holds no secret is handed back as it is; the caller's object is never changed", () => {
    const clean = { a: { b: [1, { c: "d" }] }, error: new Error("x") };
    assert.equal(redact(clean), clean);
    const dirty = { a: { password: "p" }, b: 1 };
    assert.deepEqual(redact(dirty), { a: { password: "[redacted]" }, b: 1 });
    assert.deepEqual(dirty, { a: { password: "p" }, b: 1 });
  });

  it("a ring of objects ends", () => {
    const ring: Record<string, unknown> = { name: "x" };
    ring.self = ring;
    assert.equal(redact(ring).name, "x");
  });
});
