import assert from "node:assert/strict";
import { createRegistry } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { from, retryAfterMs } from "#mesh/errors.ts";
import { createAdmission, rateGroup } from "./admit.ts";
import { answerError } from "./status.ts";

describe("gateway/admit", () => {
  it("lets 3 at once and 2 per second through, for each client and group", async () => {
    const admission = createAdmission({ perSecond: 2, burst: 3 });
    const at = (now: number, client = "a", group = "g") => attempt(() => admission.rate(client, { name: group }, now));
    assert.deepEqual(await Promise.all([0, 0, 0, 0].map((now) => at(now))), ["ok", "ok", "ok", "8 500"]);
    const later = await Promise.all([at(0, "b"), at(0, "a", "h"), at(499), at(500), at(500)]);
    assert.deepEqual(later, ["ok", "ok", "8 1", "ok", "8 500"]);
  });

  it("says the policy and what is left", async () => {
    const admission = createAdmission({ perSecond: 2, burst: 3 });
    assert.deepEqual(await admission.rate("a", { name: "g" }, 0), {
      ratelimit: '"default";r=2;t=1',
      "ratelimit-policy": '"default";q=3;w=2',
    });
  });

  it("counts a route with a limit of its own apart, under its name, and says so when it refuses", async () => {
    const admission = createAdmission({ perSecond: 2, burst: 3 });
    const group = rateGroup("echo.v1.EchoService", "Echo", { perSecond: 1, burst: 1 });
    const policy = { "ratelimit-policy": '"echo.v1.EchoService/Echo";q=1;w=1' };
    assert.deepEqual(await admission.rate("a", group, 0), { ratelimit: '"echo.v1.EchoService/Echo";r=0;t=1', ...policy });
    await assert.rejects(admission.rate("a", group, 400), (error) => {
      const { headers } = answerError(error, { types: createRegistry(), problem: false });
      assert.deepEqual([headers["retry-after"], headers.ratelimit], ["1", '"echo.v1.EchoService/Echo";r=0;t=1']);
      return true;
    });
    assert.deepEqual(await admission.rate("a", rateGroup("echo.v1.EchoService", "Plain", undefined), 400), {
      ratelimit: '"default";r=2;t=1',
      "ratelimit-policy": '"default";q=3;w=2',
    });
  });

  it("counts nothing at 0 per second", async () => {
    const admission = createAdmission({ perSecond: 0, burst: 1 });
    const twice = await Promise.all([admission.rate("a", { name: "g" }, 0), admission.rate("a", { name: "g" }, 0)]);
    assert.deepEqual(twice, [{}, {}]);
  });

  it("is not confused by a clock that steps back", async () => {
    const admission = createAdmission({ perSecond: 1, burst: 1 });
    const at = (now: number) => attempt(() => admission.rate("a", { name: "g" }, now));
    assert.deepEqual(await Promise.all([at(10_000), at(5_000), at(10_999), at(11_000)]), ["ok", "8 1000", "8 1", "ok"]);
  });

  it("refuses the third of two places until one is left, once", async () => {
    const admission = createAdmission(undefined, 2);
    const leave = admission.enter();
    admission.enter();
    assert.equal(await attempt(() => admission.enter()), "14 1000");
    leave();
    leave();
    assert.equal(admission.active, 1);
    assert.equal(await attempt(() => admission.enter()), "ok");
  });
});

async function attempt(work: () => unknown): Promise<string> {
  try {
    await work();
    return "ok";
  } catch (thrown) {
    const error = from(thrown);
    assert.ok(error.code === Code.ResourceExhausted || error.code === Code.Unavailable);
    return `${error.code} ${retryAfterMs(error)}`;
  }
}
