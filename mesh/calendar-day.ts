/** Days of the calendar, as texts of ISO 8601 (2027-03-31): a promise for a day has no hour and no time zone. Pure. */
import { invalidArgument } from "#mesh/errors.ts";

const dayMs = 86_400_000;

/**
 * A day of a request, checked.
 *
 * @throws INVALID_ARGUMENT naming `field` for a text of another form, for days that no calendar has (2027-02-30) and for the year 0.
 */
export function checkedDay(text: string, field: string): string {
  if (isDay(text)) return text;
  throw invalidArgument([{ field, description: `expected a day such as 2027-03-31, got ${JSON.stringify(text)}` }]);
}

/** Whether the text is a day of the years 1 to 9999. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || text.startsWith("0000")) return false;
  const ms = Date.parse(`${text}T00:00:00Z`);
  // JavaScript lets the 30th of February be the 2nd of March.
  return !Number.isNaN(ms) && dayOf(ms) === text;
}

/** The day in UTC at a time in milliseconds since the epoch. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Days from one day to another; below 0 when `to` is earlier. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / dayMs);
}

/** The later of two days. */
export function laterDay(a: string, b: string): string {
  return a > b ? a : b;
}
