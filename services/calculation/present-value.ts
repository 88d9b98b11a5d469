/** What cash flows are worth now. Pure. */
import { type Decimal, one, quotient } from "./decimal.ts";
import { Refusal } from "./refusal.ts";

/** Amounts, one a period, and the rate that they are discounted at. */
export interface PresentValueQuestion {
  readonly amounts: readonly Decimal[];
  readonly rate: Decimal;
  /** The period of the first amount. */
  readonly firstPeriod: number;
}

/** Beyond it an amount of money is none, but a rate near -1 over many periods. */
const bound = 10n ** 60n * one;

/**
 * The sum of the amounts, each discounted from its period; the first is at `firstPeriod`. By Horner's rule, so that every step is
 * rounded at 10^-40.
 *
 * @throws Refusal of `rate` when it is beyond 10^60.
 */
export function presentValue(amounts: readonly Decimal[], rate: Decimal, firstPeriod = 0): Decimal {
  const growth = one + rate;
  let value = 0n;
  for (let at = amounts.length - 1; at >= 0; at--) value = bounded(quotient(value, growth) + (amounts[at] ?? 0n));
  for (let period = 0; period < firstPeriod; period++) value = bounded(quotient(value, growth));
  return value;
}

/** Each amount discounted from the end of its period, the first of which is 1. @throws Refusal as above. */
export function discounted(amounts: readonly Decimal[], rate: Decimal): Decimal[] {
  const growth = one + rate;
  let factor = one;
  return amounts.map((amount) => {
    factor = bounded(quotient(factor, growth));
    return bounded((amount * factor) / one);
  });
}

function bounded(value: Decimal): Decimal {
  if (value > bound || value < -bound) {
    throw new Refusal("rate", "the present value at this rate goes beyond 10^60");
  }
  return value;
}
