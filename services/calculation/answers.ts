/** The domain's values as messages. */
import { fromJson, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { EvaluateResponseSchema } from "#gen/calculation/v1/evaluate_pb.ts";
import {
  type CalculateReturnOnInvestmentResponseSchema,
  type MoneySchema,
  type PaybackSchema,
  type RateOfReturnSchema,
  RootStatus,
  RoundingMode,
} from "#gen/calculation/v1/finance_pb.ts";
import type { MonteCarloResultSchema } from "#gen/calculation/v1/montecarlo_pb.ts";
import { minorUnitDigits } from "#mesh/currency.ts";
import { type Decimal, decimalOf, type Rounding, toShortText, toText } from "./decimal.ts";
import type { Payback, Returns } from "./investment.ts";
import type { Outcome } from "./outcome.ts";
import type { RatesOfReturn } from "./rate-of-return.ts";
import { Refusal } from "./refusal.ts";
import type { Summary } from "./statistics.ts";

/** How the amounts of an answer are written. */
export interface Writing {
  readonly currencyCode: string;
  readonly roundingMode: RoundingMode;
}

/** Decimals of an amount of no currency. */
const plainDigits = 20;

/** The mode that an answer tells. */
export function modeOf({ roundingMode }: Writing): RoundingMode {
  return roundingMode === RoundingMode.UNSPECIFIED ? RoundingMode.HALF_EVEN : roundingMode;
}

const roundings: Readonly<Record<RoundingMode, Rounding>> = {
  [RoundingMode.UNSPECIFIED]: "half-even",
  [RoundingMode.HALF_EVEN]: "half-even",
  [RoundingMode.HALF_UP]: "half-up",
  [RoundingMode.DOWN]: "down",
  [RoundingMode.UP]: "up",
  [RoundingMode.FLOOR]: "floor",
  [RoundingMode.CEILING]: "ceiling",
};

/** An amount, rounded. */
export function moneyOf(amount: Decimal, { currencyCode, roundingMode }: Writing): MessageInitShape<typeof MoneySchema> {
  const digits = minorUnitDigits.get(currencyCode);
  const rounding = roundings[roundingMode] ?? "half-even";
  const text = digits === undefined ? toShortText(amount, plainDigits, rounding) : toText(amount, digits, rounding);
  return { amount: text, currencyCode };
}

/** An amount before it was rounded. */
export function exactly(amount: Decimal): string {
  return toShortText(amount, plainDigits, "half-even");
}

/** @throws Refusal of `expression` when it is to be money and is none. */
export function outcomeMessage(outcome: Outcome, writing: Writing): MessageInitShape<typeof EvaluateResponseSchema> {
  const { type, text } = outcome;
  const value = fromJson(ValueSchema, outcome.value as JsonValue);
  if (writing.currencyCode === "") return { type, text, value };
  const isAmount = type === "decimal" || (type === "number" && Number.isSafeInteger(outcome.value));
  if (!isAmount || !/^-?\d/.test(text)) throw new Refusal("expression", `the result is no amount of money: ${text.slice(0, 60)}`);
  if (Math.abs(Number(text)) >= 1e60) throw new Refusal("expression", "the amount goes beyond 10^60");
  return { type, text, value, money: moneyOf(decimalOf(text), writing), roundingMode: modeOf(writing) };
}

const statuses: Readonly<Record<RatesOfReturn["status"], RootStatus>> = {
  none: RootStatus.NONE,
  unique: RootStatus.UNIQUE,
  several: RootStatus.SEVERAL,
  all: RootStatus.ALL,
};

/** Rates. */
export function ratesMessage(found: RatesOfReturn): MessageInitShape<typeof RateOfReturnSchema> {
  const { status, roots, ...rest } = found;
  const rate = status === "unique" ? roots[0]?.rate : undefined;
  return {
    status: statuses[status],
    ...(rate === undefined ? {} : { rate }),
    roots: roots.map((root) => ({ ...root })),
    ...rest,
  };
}

/** A payback. */
export function paybackMessage({ periods, lasting, missing }: Payback, writing: Writing): MessageInitShape<typeof PaybackSchema> {
  const recovered = periods !== undefined;
  return { recovered, lasting, missing: moneyOf(missing, writing), ...(recovered ? { periods } : {}) };
}

/** All figures of an investment. */
export function returnsMessage(
  returns: Returns,
  writing: Writing,
): MessageInitShape<typeof CalculateReturnOnInvestmentResponseSchema> {
  const { roi, roiPerPeriod, profitabilityIndex } = returns;
  return {
    roi,
    profitabilityIndex,
    ...(roiPerPeriod === undefined ? {} : { roiPerPeriod }),
    totalGain: moneyOf(returns.totalGain, writing),
    netGain: moneyOf(returns.netGain, writing),
    netPresentValue: moneyOf(returns.netPresentValue, writing),
    irr: ratesMessage(returns.irr),
    payback: paybackMessage(returns.payback, writing),
    discountedPayback: paybackMessage(returns.discountedPayback, writing),
    roundingMode: modeOf(writing),
  };
}

/** Of a normal distribution 95 % lie within so many standard deviations of the mean. */
const twoSided95 = 1.959963984540054;

/** A simulation's figures. */
export function summaryMessage(summary: Summary, seed: bigint): MessageInitShape<typeof MonteCarloResultSchema> {
  const { count, failed, percentiles, histogram, thresholds, ...figures } = summary;
  const { mean, standardError } = figures;
  const interval =
    mean === undefined || standardError === undefined
      ? {}
      : { meanLow: mean - twoSided95 * standardError, meanHigh: mean + twoSided95 * standardError };
  const told = Object.entries(figures).filter(([, value]) => value !== undefined);
  return {
    seed,
    iterations: BigInt(count),
    failedIterations: BigInt(failed),
    ...Object.fromEntries(told),
    ...interval,
    percentiles: percentiles.map((one) => ({ ...one })),
    histogram: histogram.map(({ from, to, count: inBin }) => ({ from, to, count: BigInt(inBin) })),
    thresholds: thresholds.map((one) => ({ ...one })),
  };
}
