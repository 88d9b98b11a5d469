/** The demos are promises that can be checked: they run here as a person would run them. */
import assert from "node:assert/strict";
import { platform as processes } from "../services/platform.ts";
import { type Platform, startPlatform } from "./platform.ts";

describe("heddle demo, on the whole platform", () => {
  let platform: Platform;
  before(async function () {
    this.timeout(180_000);
    platform = await startPlatform(
      {},
      processes.map(({ name }) => name),
    );
  });
  after(async function () {
    this.timeout(60_000);
    await platform?.[Symbol.asyncDispose]();
  });

  for (const [name, promises] of [
    ["shop", 8],
    ["resilience", 15],
    ["value", 13],
  ] as const) {
    it(`${name}: ${promises} promises kept, none broken`, async () => {
      const told = await platform.heddle("demo", name).catch((error: { stdout?: string; stderr?: string }) => {
        assert.fail(`${error.stdout}\n${error.stderr}`);
      });
      assert.match(told, new RegExp(`\\n${promises} promises kept, 0 broken\\n$`), told);
    }).timeout(180_000);
  }
});
