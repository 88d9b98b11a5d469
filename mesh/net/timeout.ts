/**
 * The grpc-timeout header: at most 8 digits and a unit (gRPC over HTTP/2, "Timeout").
 *
 *     timeout := digit{1,8} ("m" | "S" | "M" | "H")       milliseconds, seconds, minutes, hours
 */

const largest = 99_999_999;

/**
 * The header's value for `ms` milliseconds, in the finest unit that fits, rounded up: a positive rest is never written as 0.
 * Undefined for Infinity, which is written by leaving the header out.
 */
export function formatTimeout(ms: number): string | undefined {
  if (ms === Number.POSITIVE_INFINITY) return undefined;
  for (const { unit, unitMs } of units) {
    const count = Math.ceil(Math.max(ms, 0) / unitMs);
    if (count <= largest) return `${count}${unit}`;
  }
  return undefined;
}

const units = [
  { unit: "m", unitMs: 1 },
  { unit: "S", unitMs: 1000 },
  { unit: "M", unitMs: 60_000 },
  { unit: "H", unitMs: 3_600_000 },
] as const;
