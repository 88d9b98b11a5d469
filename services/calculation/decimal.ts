/**
 * Decimal numbers as integers of 10^-40. Sums and differences are exact; a quotient is rounded once, to the nearest 10^-40, a tie away
 * from 0. Pure.
 */

/** A number times 10^40. */
export type Decimal = bigint;

const places = 40;

/** 1. */
export const one: Decimal = 10n ** BigInt(places);

/** How an amount is rounded. */
export type Rounding = "half-even" | "half-up" | "down" | "up" | "floor" | "ceiling";

/** `"-1205.50"` or `"1e-7"` as a number; what is finer than 10^-40 is cut off. @throws RangeError when it is none, or 10^300 or more. */
export function decimalOf(text: string): Decimal {
  const found = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text);
  if (found === null) throw new RangeError(`expected a decimal number, got ${JSON.stringify(text.slice(0, 100))}`);
  const [, sign, whole = "", fraction = "", exponent = "0"] = found;
  const shift = places + Number(exponent) - fraction.length;
  const digits = BigInt(whole + fraction);
  if (digits !== 0n && whole.length + Number(exponent) > 300) throw new RangeError("expected a number below 10^300");
  const value = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift);
  return sign === "-" ? -value : value;
}

/** A double as people write it: 0.1 is one tenth, though no double is. @throws RangeError when it is not finite. */
export function decimalOfDouble(value: number): Decimal {
  return decimalOf(String(value));
}

/** The double next to a number, or next but one. */
export function toDouble(value: Decimal): number {
  return Number(toText(value, places, "half-even"));
}

/** `a / b`. @throws RangeError when b is 0. */
export function quotient(a: Decimal, b: Decimal): Decimal {
  return nearest(a * one, b);
}

/** A number with exactly so many decimals: `toText(12345n * one / 1000n, 2, "half-even")` is "12.34". */
export function toText(value: Decimal, digits: number, rounding: Rounding): string {
  const unit = 10n ** BigInt(places - digits);
  const rounded = roundTo(value, unit, rounding) / unit;
  const text = absolute(rounded)
    .toString()
    .padStart(digits + 1, "0");
  const sign = rounded < 0n ? "-" : "";
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** A number with at most so many decimals, and no zeros at their end. */
export function toShortText(value: Decimal, digits: number, rounding: Rounding): string {
  const text = toText(value, digits, rounding);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function roundTo(value: Decimal, unit: bigint, rounding: Rounding): Decimal {
  const rest = value % unit;
  if (rest === 0n) return value;
  const towardsZero = value - rest;
  const away = towardsZero + (value < 0n ? -unit : unit);
  return goesAway(value, absolute(rest) * 2n - unit, (towardsZero / unit) % 2n !== 0n, rounding) ? away : towardsZero;
}

/** Whether a number between two goes to the one farther from 0. `beyond` is above 0 when that one is the nearer, 0 at the middle. */
function goesAway(value: Decimal, beyond: bigint, odd: boolean, rounding: Rounding): boolean {
  switch (rounding) {
    case "half-even":
      return beyond > 0n || (beyond === 0n && odd);
    case "half-up":
      return beyond >= 0n;
    case "down":
      return false;
    case "up":
      return true;
    case "floor":
      return value < 0n;
    case "ceiling":
      return value > 0n;
  }
}

function nearest(a: bigint, b: bigint): bigint {
  const whole = a / b;
  const rest = a % b;
  return absolute(rest) * 2n < absolute(b) ? whole : whole + (a < 0n === b < 0n ? 1n : -1n);
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}
