import assert from "node:assert/strict";
import { startOrder, withNeeds } from "./start-order.ts";

describe("start order", () => {
  const names = (waves: readonly (readonly { name: string }[])[]) => waves.map((wave) => wave.map(({ name }) => name));
  const platform = [
    { name: "payment", needs: ["ledger", "notification"] },
    { name: "ledger", needs: ["postgres"] },
    { name: "notification", needs: ["postgres", "consul"] },
    { name: "consul", needs: [] },
    { name: "postgres", needs: [] },
  ];

  it("puts each process after all that it needs, independent ones side by side", () => {
    assert.deepEqual(names(startOrder(platform)), [["consul", "postgres"], ["ledger", "notification"], ["payment"]]);
  });

  it("refuses a need that is no process: payment needs ledgr", () => {
    assert.throws(() => startOrder([{ name: "payment", needs: ["ledgr"] }]), {
      message: "payment needs ledgr, which is not a service of the platform",
    });
  });

  it("refuses a circle and names it: a -> b -> a", () => {
    const circle = [
      { name: "a", needs: ["b"] },
      { name: "b", needs: ["a"] },
      { name: "c", needs: [] },
    ];
    assert.throws(() => startOrder(circle), { message: "these services need each other in a circle: a, b" });
  });

  it("takes along what the wanted need: ledger takes postgres", () => {
    assert.deepEqual(
      withNeeds(platform, ["ledger"]).map(({ name }) => name),
      ["ledger", "postgres"],
    );
  });
});
