/** What the tests of the database share. */
import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { type CallContext, runWithContext } from "#mesh/context.ts";
import { retryAfterMs } from "#mesh/errors.ts";

/** For assert.rejects: an error with this code. */
export const isCode = (code: Code) => (error: unknown) => error instanceof ConnectError && error.code === code;
/** UNAVAILABLE with the RetryInfo of a database that is away. */
export const isAway = (error: unknown) =>
  error instanceof ConnectError && error.code === Code.Unavailable && retryAfterMs(error) === 1000;

/** Runs `work` for a call that has `ms` milliseconds left. */
export function inContext<T>(ms: number, work: () => Promise<T>, caller?: AbortSignal): Promise<T> {
  const context: CallContext = {
    deadline: Date.now() + ms,
    signal: caller ?? new AbortController().signal,
    principal: undefined,
    caller: undefined,
    trace: { traceId: "", spanId: "", flags: 0, state: "" },
    correlationId: "",
    criticality: "CRITICAL",
    client: { address: "", userAgent: "" },
  };
  return runWithContext(context, work);
}

/** Passes bytes both ways until it is told to swallow an answer. */
export async function startProxy(port: number) {
  let cutting = false;
  const proxy = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    near.on("data", (data) => far.write(data));
    far.on("data", (data) => (cutting ? near.destroy() : near.write(data)));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => undefined);
      one.on("close", () => other.end());
    }
  });
  await new Promise<void>((settle) => proxy.listen(0, "127.0.0.1", settle));
  return {
    port: (proxy.address() as AddressInfo).port,
    cutAfterNextRequest: () => {
      cutting = true;
    },
    [Symbol.asyncDispose]: async () => void proxy.close(),
  };
}

/** Waits until it is true; an error counts as not yet. */
export async function until(condition: () => Promise<boolean>, patienceMs = 10_000): Promise<void> {
  for (const end = Date.now() + patienceMs; Date.now() < end; await sleep(20)) if (await condition().catch(() => false)) return;
  assert.fail("the condition did not come true in time");
}
