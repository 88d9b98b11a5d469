import assert from "node:assert/strict";
import fc from "fast-check";
import { compile } from "./compiled-model.ts";
import { evaluate } from "./evaluate.ts";
import { near } from "./fixtures/near.ts";
import { readModel } from "./model.ts";
import { Refusal } from "./refusal.ts";

const outcome = async (expression: string, inputs: Readonly<Record<string, number>> = {}) => {
  const names = Object.keys(inputs);
  return compile(await readModel({ expression, inputs: names, constants: new Map([["k", 10]]) }))(
    Float64Array.from(Object.values(inputs)),
  );
};

describe("models", function () {
  this.timeout(20_000);

  for (const [expression, expected] of [
    ["a + b * k - 2^2 / 4", 2 + 3 * 10 - 1],
    ["-a^2", -4],
    ["2 a", 4],
    ["10%", 0.1],
    ["a < b ? 1 : 2", 1],
    ["1 < a < 2", 0],
    ["not (a == 2) or b != 3", 0],
    ["-7 mod 3", 2],
    ["mod(7, 0)", 7],
    ["min(a, b, -1) + max([a, b])", 2],
    ["sum(1, 2, 3) + mean([a, b, 4])", 9],
    ["round(2.345, 2) + round(-2.5)", -0.65],
    ["log(8, 2) + log(e) + log10(100)", 6],
    ["npv(0.1, [-100, 110])", 0],
    ["irr([-100, 110])", 0.1],
    ["irr([100, 110])", Number.NaN],
    ["sqrt(-1)", Number.NaN],
    ["1 / 0", Number.POSITIVE_INFINITY],
    ["pi + tau", 3 * Math.PI],
  ] as const) {
    it(`${expression} with a = 2, b = 3, k = 10 is ${expected}`, async () => {
      const actual = await outcome(expression, { a: 2, b: 3 });
      if (Number.isFinite(expected)) near(actual, expected, 1e-12, 1e-12);
      else assert.equal(actual, expected);
    });
  }

  for (const [expression, reason] of [
    ["c", /there is no "c"/],
    ["a = 1", /no assignment/],
    ["[1, 2]", /no array/],
    ["a.b", /no accessor/],
    ["f(x) = 1", /no functionassignment/],
    ["cos.constructor(1)", /a model has no/],
    ["constructor(1)", /a model has no/],
    ["toString(1)", /a model has no/],
    ["hasOwnProperty(1)", /a model has no/],
    ["__proto__", /there is no/],
    ['"text"', /found a text/],
    ["npv(0.1, a)", /expected a list/],
    ["irr(a)", /expected a list/],
    ["sqrt(1, 2)", /expected 1 arguments of sqrt, got 2/],
    ["a!", /a model has no "!"/],
    ["2 cm", /there is no "cm"/],
    [`a${"+a".repeat(600)}`, /at most 1000/],
    [`${"(".repeat(1900)}a${")".repeat(1900)}`, /nested too deeply|at most 1000/],
  ] as const) {
    it(`refuses ${expression.slice(0, 50)}`, async () => {
      await assert.rejects(outcome(expression, { a: 1 }), (error) => {
        assert.ok(error instanceof Refusal, String(error));
        assert.match(error.message, reason);
        return error.field === "expression";
      });
    });
  }

  it("means what it means in Evaluate", async () => {
    const leaf = fc.constantFrom("a", "b", "2", "0.5", "3");
    const { tree } = fc.letrec<{ tree: string }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.tuple(tie("tree"), fc.constantFrom("+", "-", "*", "/"), tie("tree")).map(([x, op, y]) => `(${x} ${op} ${y})`),
        fc.tuple(fc.constantFrom("abs", "exp", "sin", "floor", "sign"), tie("tree")).map(([f, x]) => `${f}(${x})`),
        fc.tuple(tie("tree"), tie("tree"), tie("tree"), tie("tree")).map(([x, y, z, w]) => `(${x} > ${y} ? ${z} : ${w})`),
        tie("tree").map((x) => `-${x}^2`),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(tree, fc.integer({ min: -9, max: 9 }), fc.integer({ min: -9, max: 9 }), async (expression, a, b) => {
        const asked = { expression, variables: new Map(Object.entries({ a, b })), mode: "double", unit: "" } as const;
        const { value } = await evaluate(asked);
        const other = typeof value === "boolean" ? Number(value) : Number(value);
        const own = await outcome(expression, { a, b });
        if (Number.isFinite(other)) near(own, other, 1e-12, 1e-12);
        else assert.equal(own, other);
      }),
      { numRuns: 500 },
    );
  });
});
