import assert from "node:assert/strict";
import { type CallContext, currentContext, remainingMs, runWithContext, runWithoutContext } from "./context.ts";

const context: CallContext = {
  deadline: 5000,
  signal: new AbortController().signal,
  principal: undefined,
  caller: undefined,
  trace: { traceId: "0".repeat(31).concat("1"), spanId: "0".repeat(15).concat("1"), flags: 1, state: "" },
  correlationId: "c-1",
  criticality: "CRITICAL",
  client: { address: "", userAgent: "" },
};

describe("context", () => {
  it("is there through every await of the work, and nowhere else", async () => {
    const seen = await runWithContext(context, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return currentContext();
    });
    assert.equal(seen, context);
    assert.equal(currentContext(), undefined);
  });

  it("is absent in what runs without it, even inside a call", () => {
    const seen = runWithContext(context, () => [runWithoutContext(currentContext), currentContext()]);
    assert.deepEqual(seen, [undefined, context]);
  });

  it("4000 ms are left of a deadline at 5000 when it is 1000, 0 when it is 6000, Infinity without a context", () => {
    assert.equal(remainingMs(context, 1000), 4000);
    assert.equal(remainingMs(context, 6000), 0);
    assert.equal(remainingMs(undefined, 6000), Number.POSITIVE_INFINITY);
  });
});
