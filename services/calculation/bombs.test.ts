import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { createLogger } from "#mesh/telemetry/log.ts";
import { openPool, type Pool } from "./pool.ts";
import { Refusal } from "./refusal.ts";

describe("expressions that are bombs", function () {
  this.timeout(120_000);
  const log = createLogger({ service: "calculation", instance: "test", level: "silent" });
  let pool: Pool;
  before(() => {
    pool = openPool({ threads: 1, timeLimitMs: 3000, memoryMib: 96, log });
  });
  after(() => pool[Symbol.asyncDispose]());

  for (const [expression, mode] of [
    ["reshape(1:9000, [9000, 1]) .* reshape(1:9000, [1, 9000])", "double"],
    ["reshape(1:9000, [9000, 1]) + reshape(1:9000, [1, 9000])", "decimal"],
    ["a = reshape(1:10000, [100, 100]); inv(a .* a + identity(100)) ^ 1000", "decimal"],
    ["a = 1:9000; b = a .^ a; sum(b .^ b .^ b .^ b)", "decimal"],
    ["9 ^ 9 ^ 9 ^ 9 ^ 9", "decimal"],
    [`${"sum(".repeat(200)}1:10000${")".repeat(200)}`, "double"],
    [`[${"[1:10000],".repeat(200)}[1:10000]]`, "double"],
    [`x = 1:5000; ${"x = [x, x];".repeat(100)} x`, "double"],
  ] as const) {
    it(`${expression.slice(0, 70)} in ${mode}: an answer, a refusal or RESOURCE_EXHAUSTED, and the next is answered`, async () => {
      try {
        await pool.run("evaluate", { expression, mode, variables: new Map(), unit: "" });
      } catch (error) {
        if (!(error instanceof Refusal)) assert.equal(Code[ConnectError.from(error).code], "ResourceExhausted", String(error));
      }
      const { text } = await pool.run("evaluate", { expression: "1 + 1", mode: "double", variables: new Map(), unit: "" });
      assert.equal(text, "2");
    });
  }
});
