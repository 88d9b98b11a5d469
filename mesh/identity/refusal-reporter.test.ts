import assert from "node:assert/strict";
import { pino } from "pino";
import { type CallContext, currentContext, runWithContext } from "../context.ts";
import { invalidArgument, unavailable } from "../errors.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import type { Refusal } from "./refusal.ts";
import { type RecordRefusal, RefusalReporter } from "./refusal-reporter.ts";

const refusal = (reason: string): Refusal => ({ action: "token.refused", reason, userId: "", sessionId: "" });
const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", flags: 1, state: "" };
const context: CallContext = {
  deadline: 0,
  signal: AbortSignal.abort(),
  principal: { kind: "user", id: "a", roles: [], scopes: [], sessionId: "s", token: "secret", expiresAt: 0, degraded: false },
  caller: undefined,
  trace,
  correlationId: "c-1",
  criticality: "CRITICAL",
  client: { address: "192.0.2.1", userAgent: "curl" },
};

/** A reporter whose clock stands still until it is moved. */
function reporterOver(record: RecordRefusal) {
  const metrics = createMetrics({ service: "s", instance: "s-1", version: "1" });
  const clock = { now: 1_000_000 };
  const log = pino({ level: "silent" });
  const reporter = new RefusalReporter({ record, log, meter: metrics.meter, clock: () => clock.now, backoffMs: () => 1 });
  return { reporter, metrics, clock };
}

async function dropped(metrics: Metrics): Promise<Record<string, number>> {
  const lines = (await metrics.text()).matchAll(/^heddle_audit_dropped_total\{reason="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, reason = "", count]) => [reason, Number(count)]));
}

describe("RefusalReporter", () => {
  it("records in nobody's name, with the address, correlation id and trace of the call, which has ended", async () => {
    const seen: unknown[] = [];
    const { reporter, metrics, clock } = reporterOver(async ({ reason }, requestId) => {
      const now = currentContext();
      seen.push([reason, now?.principal, now?.client.address, now?.correlationId, now?.trace, now?.criticality]);
      assert.match(requestId, /^[0-9a-f-]{36}$/);
      assert.deepEqual([now?.deadline, now?.signal.aborted], [clock.now + 2000, false]);
      return true;
    });
    runWithContext(context, () => reporter.report(refusal("one"), context));
    await reporter[Symbol.asyncDispose]();
    assert.deepEqual(seen, [["one", undefined, "192.0.2.1", "c-1", trace, "SHEDDABLE"]]);
    await metrics[Symbol.asyncDispose]();
  });

  it("returns at once while the log does not answer; at 100 that wait the oldest goes", async () => {
    const first = Promise.withResolvers<boolean>();
    const seen: string[] = [];
    const { reporter, metrics, clock } = reporterOver(({ reason }) => {
      seen.push(reason);
      return seen.length === 1 ? first.promise : Promise.resolve(true);
    });
    for (let n = 0; n <= 102; n++) {
      if (n % 20 === 0) clock.now += 1000;
      reporter.report(refusal(String(n)), context);
    }
    assert.deepEqual([seen, await dropped(metrics)], [["0"], { queue: 2 }]);
    first.resolve(true);
    await reporter[Symbol.asyncDispose]();
    assert.deepEqual(seen, ["0", ...Array.from({ length: 100 }, (_, n) => String(n + 3))]);
    await metrics[Symbol.asyncDispose]();
  });

  it("takes 20 a second and counts the rest", async () => {
    const { reporter, metrics, clock } = reporterOver(async () => true);
    for (let n = 0; n < 25; n++) reporter.report(refusal("a"), context);
    assert.deepEqual(await dropped(metrics), { rate: 5 });
    clock.now += 1000;
    reporter.report(refusal("a"), context);
    assert.deepEqual(await dropped(metrics), { rate: 5 });
    await reporter[Symbol.asyncDispose]();
    await metrics[Symbol.asyncDispose]();
  });

  it("tries again with the same id while auth is away; gives up what auth will never take", async () => {
    const ids: string[] = [];
    const done = Promise.withResolvers<void>();
    const { reporter, metrics } = reporterOver(async ({ reason }, requestId) => {
      if (reason === "bad") throw invalidArgument([{ field: "reason", description: "no" }]);
      if (reason === "flood") return false;
      ids.push(requestId);
      if (ids.length < 3) throw unavailable("away");
      done.resolve();
      return true;
    });
    for (const reason of ["bad", "flood", "good"]) reporter.report(refusal(reason), context);
    await done.promise;
    assert.deepEqual([ids.length, new Set(ids).size, await dropped(metrics)], [3, 1, { failed: 1, refused: 1 }]);
    await reporter[Symbol.asyncDispose]();
    await metrics[Symbol.asyncDispose]();
  });

  it("at the end tries each of what waits once more, and takes nothing new", async () => {
    let calls = 0;
    const { reporter, metrics } = reporterOver(async () => {
      calls++;
      throw unavailable("away");
    });
    const closing = (() => {
      for (let n = 0; n < 3; n++) reporter.report(refusal("a"), context);
      return reporter[Symbol.asyncDispose]();
    })();
    reporter.report(refusal("late"), context);
    await closing;
    assert.deepEqual([calls, await dropped(metrics)], [3, { failed: 3, closed: 1 }]);
    await metrics[Symbol.asyncDispose]();
  });
});
