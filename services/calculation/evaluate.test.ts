import assert from "node:assert/strict";
import { evaluate, type Variable } from "./evaluate.ts";
import type { NumberMode } from "./math.ts";
import { Refusal } from "./refusal.ts";

const variables = new Map<string, Variable>([
  ["x", 3],
  ["price", "12.30"],
  ["d", "5 km"],
  [
    "m",
    [
      [1, 2],
      [3, 4],
    ],
  ],
]);
const textOf = async (expression: string, mode: NumberMode = "double", unit = "") =>
  (await evaluate({ expression, variables, mode, unit })).text;

describe("evaluate", function () {
  this.timeout(20_000);

  for (const [expression, double, decimal = double] of [
    ["0.1 + 0.2", "0.30000000000000004", "0.3"],
    ["price * 3", "36.900000000000006", "36.9"],
    ["1 / 3", "0.3333333333333333", `0.${"3".repeat(64)}`],
    ["-2^2", "-4"],
    ["2^3^2", "512"],
    ["7 mod 3 + 10%", "1.1"],
    ["a = 2; b = a * x; b ^ 2", "36"],
    ["x > 2 ? 1 : 2", "1"],
    ["1 < x < 3", "false"],
    ["m * m", "[[7, 10], [15, 22]]"],
    ["m[2, :]", "[3, 4]"],
    ["m[end, 1]", "3"],
    ["det(m)", "-2"],
    ["sum(1:100)", "5050"],
    ["max(m, 1)", "[3, 4]"],
    ["concat(m, m, 1)", "[[1, 2], [3, 4], [1, 2], [3, 4]]"],
    ["reshape(1:4, [2, 2]) * m", "[[7, 10], [15, 22]]"],
    ["reshape(1:4, [2, -1])[2, 1]", "3"],
    ["5!", "120"],
    ["combinations(5, 2)", "10"],
    ["d / 20 min to km/h", "15 km / h"],
    ["2 inch to cm", "5.08 cm"],
    ["20 degC to degF", "68 degF"],
    ["min(4, 2) min", "2 min"],
    ["sqrt(-4)", "0 + 2i"],
    ["(1 + 2i) * (3 - i)", "5 + 5i"],
    ["true and not false", "true"],
  ] as const) {
    it(`${expression} is ${double}${decimal === double ? "" : `, in decimals ${decimal}`}`, async () => {
      assert.equal(await textOf(expression), double);
      assert.equal(await textOf(expression, "decimal"), decimal);
    });
  }

  it("5 km in miles", async () => assert.match(await textOf("d", "double", "mile"), /^3\.10685596\d* mile$/));

  for (const [expression, reason] of [
    ["import({})", /no function "import"/],
    ["createUnit(1)", /no function "createUnit"/],
    ["evaluate(1)", /no function "evaluate"/],
    ["parse(1)", /no function "parse"/],
    ["simplify(1)", /no function "simplify"/],
    ["derivative(1)", /no function "derivative"/],
    ["config({})", /no function "config"/],
    ["random()", /no function "random"/],
    ["bignumber(1)", /no function "bignumber"/],
    ["resize([1], 1e9)", /no function "resize"/],
    ["map([1], sqrt)", /no function "map"/],
    ["unit(1)", /no function "unit"/],
    ['"a"', /found a text/],
    ["{a: 1}", /Object is not allowed/],
    ["f(y) = f(y)", /FunctionAssignment is not allowed/],
    ["x.constructor", /found a text/],
    ["cos.constructor", /./],
    ["cos.constructor(1)(1)", /no function/],
    ['m["constructor"]', /found a text/],
    ["constructor", /no "constructor"/],
    ["__proto__", /no "__proto__"/],
    ["this", /no "this"/],
    ["sqrt", /a function is no value/],
    ["y", /there is no "y"/],
    ["m[1, 1] = 2", /only a name can be set/],
    ["a = 1;", /a last part/],
    ["1 +", /Unexpected end/],
    ["1 | 2", /operator | is not/],
    [`${"(".repeat(3000)}1${")".repeat(990)}`, /./],
    [`1${"+1".repeat(600)}`, /at most 1000/],
    ["ones(1e5, 1e5)", /10000 at most/],
    ["zeros([1e5, 2])", /10000 at most/],
    ["identity(1000)", /10000 at most/],
    ["1:1e9", /10000 at most/],
    ["range(0, 1, 1e-9)", /10000 at most/],
    ["range(0, 1, 0)", /10000 at most/],
    ["ones(2000, 1) * ones(1, 2000)", /10000 at most/],
    ["kron(ones(100), ones(101, 1))", /10000 at most/],
    ["diag(ones(1000))", /10000 at most/],
    ["a = 1:9000; concat(a, a)", /10000 at most/],
    ["factorial(1e6)", /up to 5000/],
    ["1e6!", /up to 5000/],
    ["combinations(1e7, 5e6)", /up to 5000/],
    ["gamma(1e6)", /up to 5000/],
    ["m * [1, 2, 3]", /./],
    ["1 cm + 1 kg", /Units do not match/],
  ] as const) {
    it(`refuses ${expression.slice(0, 60)}`, async () => {
      for (const mode of ["double", "decimal"] as const) {
        await assert.rejects(textOf(expression, mode), (error) => {
          assert.ok(error instanceof Refusal, String(error));
          assert.match(error.message, reason);
          return error.field === "expression";
        });
      }
    });
  }

  it("a variable hides a unit, and no constant", async () => {
    const named = (name: string) =>
      evaluate({ expression: `${name} * 2`, variables: new Map([[name, 4]]), mode: "double", unit: "" });
    assert.equal((await named("h")).text, "8");
    assert.equal((await named("min")).text, "8");
    await assert.rejects(named("pi"), { field: "variables.pi" });
  });

  it("leaves nothing behind: what one expression sets, the next does not know", async () => {
    await textOf("secret = 5; secret");
    await assert.rejects(textOf("secret"), /there is no "secret"/);
  });
});
