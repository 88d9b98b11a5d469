import assert from "node:assert/strict";
import { type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { CalculationService } from "#gen/calculation/v1/calculation_pb.ts";
import { NumberMode } from "#gen/calculation/v1/evaluate_pb.ts";
import { RootStatus, RoundingMode } from "#gen/calculation/v1/finance_pb.ts";
import type { RunMonteCarloRequestSchema } from "#gen/calculation/v1/montecarlo_pb.ts";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { startMesh, type TestMesh } from "#mesh/testing.ts";
import { calculation } from "./service.ts";

describe("calculation in the mesh", function () {
  this.timeout(60_000);
  let mesh: TestMesh;
  let client: Client<typeof CalculationService>;
  before(async () => {
    mesh = await startMesh([calculation], { env: { CALCULATION_THREADS: "2" } });
    client = mesh.client(CalculationService);
  });
  after(() => mesh[Symbol.asyncDispose]());

  /** The field that a call is refused for. */
  async function refusedField(call: Promise<unknown>): Promise<string | undefined> {
    const error = await call.then(
      () => assert.fail("expected a refusal, got an answer"),
      (thrown: unknown) => ConnectError.from(thrown),
    );
    assert.equal(Code[error.code], "InvalidArgument", error.message);
    return error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field;
  }

  it("Excel's example of NPV: 10 %, -10,000, 3,000, 4,200, 6,800 from the first period's end is 1,188.44 EUR", async () => {
    const amounts = ["-10000", "3000", "4200", "6800"];
    const answer = await client.calculateNetPresentValue({ rate: 0.1, amounts, firstPeriod: 1, currencyCode: "EUR" });
    assert.deepEqual(
      [answer.netPresentValue?.amount, answer.netPresentValue?.currencyCode, answer.exact, answer.roundingMode],
      ["1188.44", "EUR", "1188.44341233522300389318", RoundingMode.HALF_EVEN],
    );
    const yen = await client.calculateNetPresentValue({ rate: 0.1, amounts, firstPeriod: 1, currencyCode: "JPY" });
    assert.equal(yen.netPresentValue?.amount, "1188");
  });

  it("Excel's second example: 8 %, 8,000, 9,200, 10,000, 12,000, 14,500, less 40,000: 1,922.06; with -9,000 more: -3,749.47", async () => {
    const amounts = ["-40000", "8000", "9200", "10000", "12000", "14500"];
    const value = async (list: string[]) =>
      (await client.calculateNetPresentValue({ rate: 0.08, amounts: list, currencyCode: "USD" })).netPresentValue?.amount;
    assert.equal(await value(amounts), "1922.06");
    assert.equal(await value([...amounts, "-9000"]), "-3749.47");
  });

  it("amounts are never in floating point: 0.1 + 0.2 is 0.3, and 17 digits stay", async () => {
    const answer = await client.calculateNetPresentValue({ rate: 0, amounts: ["0.1", "0.2", "999999999999999999.01"] });
    assert.equal(answer.netPresentValue?.amount, "999999999999999999.31");
  });

  it("rounds as it is told: 0.125 EUR", async () => {
    const amount = async (roundingMode: RoundingMode, text: string) =>
      (await client.calculateNetPresentValue({ rate: 0, amounts: [text], currencyCode: "EUR", roundingMode })).netPresentValue
        ?.amount;
    const { HALF_EVEN, HALF_UP, DOWN, UP, FLOOR, CEILING } = RoundingMode;
    const modes = [HALF_EVEN, HALF_UP, DOWN, UP, FLOOR, CEILING];
    assert.deepEqual(await Promise.all(modes.map((mode) => amount(mode, "0.125"))), [
      ...["0.12", "0.13", "0.12", "0.13", "0.12", "0.13"],
    ]);
    assert.deepEqual(await Promise.all(modes.map((mode) => amount(mode, "-0.125"))), [
      ...["-0.12", "-0.13", "-0.12", "-0.13", "-0.13", "-0.12"],
    ]);
  });

  it("irr: one, several or none, said so", async () => {
    const one = (await client.calculateInternalRateOfReturn({ amounts: ["-100", "39", "59", "55", "20"] })).rateOfReturn;
    assert.deepEqual([one?.status, one?.rate?.toFixed(5)], [RootStatus.UNIQUE, "0.28095"]);
    const two = (await client.calculateInternalRateOfReturn({ amounts: ["-100", "230", "-132"] })).rateOfReturn;
    assert.deepEqual([two?.status, two?.rate, two?.roots.length, two?.signChanges], [RootStatus.SEVERAL, undefined, 2, 2]);
    const none = (await client.calculateInternalRateOfReturn({ amounts: ["1", "2"] })).rateOfReturn;
    assert.deepEqual([none?.status, none?.roots.length, none?.minRate, none?.maxRate], [RootStatus.NONE, 0, -0.999999, 1e6]);
  });

  it("Excel's example of XIRR: 37.3362535 %, in whatever order", async () => {
    const flows = [
      { date: "2008-01-01", amount: "-10000" },
      { date: "2008-10-30", amount: "4250" },
      { date: "2008-03-01", amount: "2750" },
      { date: "2009-02-15", amount: "3250" },
      { date: "2009-04-01", amount: "2750" },
    ];
    const { rateOfReturn } = await client.calculateDatedRateOfReturn({ flows });
    assert.deepEqual([rateOfReturn?.status, rateOfReturn?.rate?.toFixed(9)], [RootStatus.UNIQUE, "0.373362534"]);
    const wrong = flows.map((flow, at) => (at === 1 ? { ...flow, date: "2008-02-30" } : flow));
    assert.equal(await refusedField(client.calculateDatedRateOfReturn({ flows: wrong })), "flows[1].date");
  });

  it("an investment of 1,000 that brings 500 in each of 3 periods at 10 %", async () => {
    const answer = await client.calculateReturnOnInvestment({
      initialCost: "1000",
      gains: ["500", "500", "500"],
      discountRate: 0.1,
      currencyCode: "EUR",
    });
    assert.deepEqual(
      [answer.roi, answer.totalGain?.amount, answer.netGain?.amount, answer.netPresentValue?.amount],
      [0.5, "1500.00", "500.00", "243.43"],
    );
    assert.deepEqual([answer.roiPerPeriod?.toFixed(6), answer.profitabilityIndex.toFixed(6)], ["0.144714", "1.243426"]);
    assert.deepEqual([answer.irr?.status, answer.irr?.rate?.toFixed(6)], [RootStatus.UNIQUE, "0.233752"]);
    const { payback, discountedPayback } = answer;
    assert.deepEqual([payback?.recovered, payback?.periods, payback?.lasting, payback?.missing?.amount], [true, 2, true, "0.00"]);
    // 1000 - 454.545 - 413.223 = 132.231 of 375.657.
    assert.equal(discountedPayback?.periods?.toFixed(4), "2.3520");
  });

  it("payback: never, and not for good", async () => {
    const never = await client.calculatePayback({ initialCost: "100", gains: ["10", "20.5"] });
    const { recovered, periods, lasting, missing } = never.simple ?? {};
    assert.deepEqual([recovered, periods, lasting, missing?.amount], [false, undefined, false, "69.5"]);
    const passing = await client.calculatePayback({ initialCost: "100", gains: ["150", "-80", "40"] });
    assert.deepEqual([passing.simple?.periods, passing.simple?.lasting], [100 / 150, false]);
    assert.equal(await refusedField(client.calculatePayback({ initialCost: "0", gains: ["1"] })), "initial_cost");
  });

  it("evaluates money, units, matrices and complex numbers", async () => {
    const money = await client.evaluate({
      expression: "net = price * quantity; net * (1 + vat)",
      variables: { price: "19.99", quantity: 3, vat: "0.19" },
      currencyCode: "EUR",
    });
    assert.deepEqual([money.type, money.text, money.money?.amount], ["decimal", "71.3643", "71.36"]);
    const speed = await client.evaluate({ expression: "d / 20 min", variables: { d: "5 km" }, unit: "km/h" });
    assert.deepEqual([speed.type, speed.text], ["unit", "15 km / h"]);
    const matrix = await client.evaluate({ expression: "m * m", variables: { m: [[1, 2], [3, 4]] } }); // biome-ignore format: a matrix
    assert.equal(matrix.text, "[[7, 10], [15, 22]]");
    const complex = await client.evaluate({ expression: "sqrt(-4)" });
    assert.deepEqual(
      [complex.type, complex.text, complex.value && toJson(ValueSchema, complex.value)],
      [...["complex", "0 + 2i", { re: 0, im: 2 }]],
    );
    const exact = await client.evaluate({ expression: "0.1 + 0.2", numberMode: NumberMode.DECIMAL });
    assert.equal(exact.text, "0.3");
  });

  for (const [field, request] of [
    ["number_mode", { expression: "1", currencyCode: "EUR", numberMode: NumberMode.DOUBLE }],
    ["currency_code", { expression: "1", currencyCode: "XXX" }],
    ["expression", { expression: "1 cm", currencyCode: "EUR" }],
    ["expression", { expression: "1 / 0", currencyCode: "EUR" }],
    ["unit", { expression: "1", unit: "km" }],
    ["unit", { expression: "1 cm", unit: "kg" }],
    ["variables.x", { expression: "x", variables: { x: null } }],
    ["variables.x", { expression: "x", variables: { x: "ten" } }],
    ["variables.constructor()", { expression: "1", variables: { "constructor()": 1 } }],
    ["variables", { expression: "1", variables: { x: Array.from({ length: 10_001 }, () => 1) } }],
  ] as const) {
    it(`refuses ${field} of ${JSON.stringify(request).slice(0, 80)}`, async () => {
      assert.equal(await refusedField(client.evaluate(request as never)), field);
    });
  }

  it("sensitivity: the greatest swing first, the base, and a table", async () => {
    const answer = await client.analyzeSensitivity({
      expression: "npv(rate, [-cost, gain, gain])",
      inputs: [
        { name: "cost", base: 100 },
        { name: "gain", base: 60, low: 40, high: 90 },
      ],
      constants: { rate: 0 },
      table: { rowName: "gain", rowValues: [50, 60], columnName: "cost", columnValues: [90, 100, 110] },
    });
    assert.equal(answer.baseOutcome, 20);
    assert.deepEqual(
      answer.bars.map(({ name, low, high, outcomeAtLow, outcomeAtHigh, swing }) => [
        ...[name, low, high, outcomeAtLow, outcomeAtHigh, swing],
      ]),
      [
        ["gain", 40, 90, -20, 80, 100],
        ["cost", 90, 110, 30, 10, 20],
      ],
    );
    assert.deepEqual(answer.bars.map(({ share }) => share), [1e4 / 10_400, 400 / 10_400]); // biome-ignore format: a line
    assert.deepEqual(
      answer.rows.map(({ rowValue, outcomes }) => [rowValue, ...outcomes]),
      [
        [50, 10, 0, -10],
        [60, 30, 20, 10],
      ],
    );
    const svg = await client.drawSensitivity({ expression: "a * b", inputs: [{ name: "a", base: 2 }, { name: "b", base: 3 }] }); // biome-ignore format: a line
    assert.equal(svg.contentType, "image/svg+xml");
    assert.match(Buffer.from(svg.data).toString(), /^<svg .*how far each input moves it/s);
  });

  it("Monte Carlo: a stream that ends with the same result as the answer in one, and a picture", async () => {
    const request: MessageInitShape<typeof RunMonteCarloRequestSchema> = {
      expression: "price * volume - cost",
      inputs: [
        { name: "price", distribution: { case: "normal", value: { mean: 10, standardDeviation: 1 } } },
        { name: "volume", distribution: { case: "triangular", value: { min: 50, mode: 100, max: 120 } } },
      ],
      constants: { cost: 500 },
      iterations: 50_000,
      seed: 42n,
      percentiles: [50],
      thresholds: [0],
    };
    const messages = await Array.fromAsync(client.streamMonteCarlo(request));
    const last = messages.at(-1);
    assert.deepEqual([last?.completedIterations, last?.totalIterations], [50_000n, 50_000n]);
    assert.ok(messages.slice(0, -1).every(({ result }) => result === undefined));
    const { result } = await client.runMonteCarlo(request);
    assert.deepEqual(result, last?.result);
    // The triangular distribution has mean 90 and variance 216.67.
    const mean = result?.mean ?? 0;
    assert.ok(Math.abs(mean - 400) < 4 * (result?.standardError ?? 0), `${mean}`);
    assert.equal(
      result?.histogram.reduce((sum, { count }) => sum + count, 0n),
      50_000n,
    );
    assert.deepEqual([result?.seed, result?.failedIterations], [42n, 0n]);
    const svg = await client.drawMonteCarlo(request);
    assert.match(Buffer.from(svg.data).toString(), /^<svg .*outcome: mean/s);
  });

  it("the names of a model's inputs and its distributions are checked", async () => {
    const uniform = (name: string, min: number, max: number) => ({
      name,
      distribution: { case: "uniform", value: { min, max } } as const,
    });
    const run = (expression: string, inputs: ReturnType<typeof uniform>[]) => client.runMonteCarlo({ expression, inputs });
    assert.equal(await refusedField(run("a + b", [uniform("a", 0, 1)])), "expression");
    assert.equal(await refusedField(run("a", [uniform("a", 0, 1), uniform("a", 0, 1)])), "inputs");
    assert.equal(await refusedField(run("a", [uniform("a", 2, 1)])), "inputs[0].uniform");
  });
});
