/** What an investment brings, and when it has come back. Pure. */
import { type Decimal, quotient, toDouble } from "./decimal.ts";
import { discounted } from "./present-value.ts";
import { type RatesOfReturn, ratesOfReturn } from "./rate-of-return.ts";

/** A cost now, and gains at the end of each period. */
export interface Investment {
  /** Above 0. */
  readonly cost: Decimal;
  readonly gains: readonly Decimal[];
  readonly rate: Decimal;
}

/** When the gains have brought the cost back. */
export interface Payback {
  /** In periods, a period's gain counted as coming evenly; undefined when they never do. */
  readonly periods: number | undefined;
  /** Whether the sum stays at 0 or above from then on. */
  readonly lasting: boolean;
  /** At the end of the last period. */
  readonly missing: Decimal;
}

/** All that is told of an investment. */
export interface Returns {
  readonly roi: number;
  /** Undefined when more than everything is lost. */
  readonly roiPerPeriod: number | undefined;
  readonly totalGain: Decimal;
  readonly netGain: Decimal;
  readonly netPresentValue: Decimal;
  readonly profitabilityIndex: number;
  readonly irr: RatesOfReturn;
  readonly payback: Payback;
  readonly discountedPayback: Payback;
}

/** The figures of an investment. @throws Refusal of `rate` as presentValue does. */
export function returnsOf({ cost, gains, rate }: Investment): Returns {
  const now = discounted(gains, rate);
  const [total, worth] = [sumOf(gains), sumOf(now)];
  const roi = toDouble(quotient(total - cost, cost));
  const flows = [-cost, ...gains].map((amount, time) => ({ time, amount: toDouble(amount) }));
  return {
    roi,
    roiPerPeriod: roi < -1 ? undefined : Math.expm1(Math.log1p(roi) / gains.length),
    totalGain: total,
    netGain: total - cost,
    netPresentValue: worth - cost,
    profitabilityIndex: toDouble(quotient(worth, cost)),
    irr: ratesOfReturn(flows),
    payback: paybackOf(cost, gains),
    discountedPayback: paybackOf(cost, now),
  };
}

/** Both paybacks. @throws Refusal of `rate` as presentValue does. */
export function paybacksOf({ cost, gains, rate }: Investment): { simple: Payback; discounted: Payback } {
  return { simple: paybackOf(cost, gains), discounted: paybackOf(cost, discounted(gains, rate)) };
}

function paybackOf(cost: Decimal, gains: readonly Decimal[]): Payback {
  let sum = -cost;
  let periods: number | undefined;
  let lasting = true;
  gains.forEach((gain, index) => {
    const before = sum;
    sum += gain;
    if (periods === undefined && sum >= 0n) periods = index + toDouble(quotient(-before, gain));
    else if (periods !== undefined && sum < 0n) lasting = false;
  });
  return { periods, lasting: lasting && periods !== undefined, missing: sum < 0n ? -sum : 0n };
}

function sumOf(amounts: readonly Decimal[]): Decimal {
  return amounts.reduce((sum, amount) => sum + amount, 0n);
}
