import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { from, retryAfterMs } from "#mesh/errors.ts";
import { createAdmission } from "./admit.ts";

describe("gateway/admit", () => {
  it("lets 3 at once and 2 per second through, for each client and group", () => {
    const admission = createAdmission({ perSecond: 2, burst: 3 });
    const at = (now: number, client = "a", group = "g") => attempt(() => admission.rate(client, group, now));
    assert.deepEqual(
      [0, 0, 0, 0].map((now) => at(now)),
      ["ok", "ok", "ok", "8 500"],
    );
    assert.deepEqual([at(0, "b"), at(0, "a", "h"), at(499), at(500), at(500)], ["ok", "ok", "8 1", "ok", "8 500"]);
  });

  it("says the policy and what is left", () => {
    const admission = createAdmission({ perSecond: 2, burst: 3 });
    assert.deepEqual(admission.rate("a", "g", 0), { ratelimit: '"default";r=2;t=1', "ratelimit-policy": '"default";q=3;w=2' });
  });

  it("counts nothing at 0 per second", () => {
    const admission = createAdmission({ perSecond: 0, burst: 1 });
    assert.deepEqual([admission.rate("a", "g", 0), admission.rate("a", "g", 0)], [{}, {}]);
  });

  it("is not confused by a clock that steps back", () => {
    const admission = createAdmission({ perSecond: 1, burst: 1 });
    const at = (now: number) => attempt(() => admission.rate("a", "g", now));
    assert.deepEqual([at(10_000), at(5_000), at(10_999), at(11_000)], ["ok", "8 1000", "8 1", "ok"]);
  });

  it("refuses the third of two places until one is left, once", () => {
    const admission = createAdmission(undefined, 2);
    const leave = admission.enter();
    admission.enter();
    assert.equal(
      attempt(() => admission.enter()),
      "14 1000",
    );
    leave();
    leave();
    assert.equal(admission.active, 1);
    assert.equal(
      attempt(() => admission.enter()),
      "ok",
    );
  });
});

function attempt(work: () => unknown): string {
  try {
    work();
    return "ok";
  } catch (thrown) {
    const error = from(thrown);
    assert.ok(error.code === Code.ResourceExhausted || error.code === Code.Unavailable);
    return `${error.code} ${retryAfterMs(error)}`;
  }
}
