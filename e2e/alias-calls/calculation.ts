/** Example calls of calculation's routes. */
import type { AliasCall } from "../alias-calls.ts";

const model = { expression: "a * b", inputs: [{ name: "a", uniform: { min: 1, max: 2 } }], constants: { b: 0 }, iterations: 100 };

/** Calculation keeps nothing, so that the rows need none of the others. */
export const calculationCalls: readonly AliasCall[] = [
  {
    call: "POST /api/v1/calculate/evaluate",
    rpc: "calculation.v1.CalculationService/Evaluate",
    body: { expression: "price * 3", variables: { price: "19.99" }, currencyCode: "EUR" },
    answer: { type: "decimal", text: "59.97", value: "59.97", money: { amount: "59.97", currencyCode: "EUR" } },
  },
  {
    call: "POST /api/v1/calculate/npv",
    rpc: "calculation.v1.CalculationService/CalculateNetPresentValue",
    body: { rate: 0.1, amounts: ["-10000", "3000", "4200", "6800"], firstPeriod: 1, currencyCode: "EUR" },
    answer: { netPresentValue: { amount: "1188.44", currencyCode: "EUR" }, roundingMode: "ROUNDING_MODE_HALF_EVEN" },
  },
  {
    call: "POST /api/v1/calculate/irr",
    rpc: "calculation.v1.CalculationService/CalculateInternalRateOfReturn",
    body: { amounts: ["-100", "100"] },
    answer: { status: "ROOT_STATUS_UNIQUE", rate: 0, signChanges: 1 },
  },
  {
    call: "POST /api/v1/calculate/xirr",
    rpc: "calculation.v1.CalculationService/CalculateDatedRateOfReturn",
    body: { flows: [{ date: "2026-03-01", amount: "100" }] },
    status: 400,
    answer: { code: 3 },
  },
  {
    call: "POST /api/v1/calculate/xirr",
    rpc: "calculation.v1.CalculationService/CalculateDatedRateOfReturn",
    body: {
      flows: [
        { date: "2026-03-01", amount: "100" },
        { date: "2027-03-01", amount: "10" },
      ],
    },
    answer: { status: "ROOT_STATUS_NONE" },
  },
  {
    call: "POST /api/v1/calculate/roi",
    rpc: "calculation.v1.CalculationService/CalculateReturnOnInvestment",
    body: { initialCost: "1000", gains: ["500", "500", "500"], discountRate: 0.1, currencyCode: "EUR" },
    answer: { roi: 0.5, netPresentValue: { amount: "243.43" }, payback: { recovered: true, periods: 2 } },
  },
  {
    call: "POST /api/v1/calculate/payback",
    rpc: "calculation.v1.CalculationService/CalculatePayback",
    body: { initialCost: "100", gains: ["10"] },
    answer: { simple: { recovered: false, missing: { amount: "90" } } },
  },
  {
    call: "POST /api/v1/calculate/sensitivity",
    rpc: "calculation.v1.CalculationService/AnalyzeSensitivity",
    body: { expression: "a - b", inputs: [{ name: "a", base: 10 }, { name: "b", base: 5, low: 0, high: 5 }] }, // biome-ignore format: a line
    answer: { baseOutcome: 5, bars: [{ name: "b", swing: 5 }] },
  },
  {
    call: "POST /api/v1/calculate/montecarlo",
    rpc: "calculation.v1.CalculationService/RunMonteCarlo",
    body: { ...model, seed: "7" },
    answer: { seed: "7", iterations: "100", failedIterations: "0", mean: 0, standardDeviation: 0 },
  },
  {
    call: "POST /api/v1/calculate/montecarlo:stream",
    rpc: "calculation.v1.CalculationService/StreamMonteCarlo",
    body: { ...model, seed: "7" },
    stream: true,
    answer: { completedIterations: "100", totalIterations: "100", result: { seed: "7" } },
  },
];
