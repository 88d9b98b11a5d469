/** Stretches of time by a calendar, cut into days, weeks or months. Pure; times are milliseconds since the epoch. */
import { invalidArgument } from "#mesh/errors.ts";

/** What a period is cut into. */
export type Granularity = "day" | "week" | "month";

/** A period and its buckets. */
export interface Period {
  readonly from: number;
  /** Not part of it. */
  readonly to: number;
  readonly timeZone: string;
  readonly granularity: Granularity;
  /** In order, without gaps; the first and the last may be parts of a day, week or month. */
  readonly buckets: readonly Bucket[];
}

/** A day, week or month, or the part of it that lies in the period. */
export interface Bucket {
  /** `2026-03-05`, `2026-W10` or `2026-03`. */
  readonly label: string;
  readonly from: number;
  readonly to: number;
  /** True: neither the period cuts it, nor does it go on still. */
  readonly whole: boolean;
}

/** What a request says of a period; the contract says how. */
export interface PeriodRequest {
  readonly period: string;
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly timeZone: string;
  /** Empty: by the length. */
  readonly granularity: Granularity | "";
}

/** How many buckets there may be. */
const maxBuckets = 1100;
const dayMs = 86_400_000;

/** @throws INVALID_ARGUMENT naming the field. */
export function resolvePeriod(request: PeriodRequest, now: number): Period {
  const timeZone = zoneOf(request.timeZone);
  const { from, to } =
    request.from === undefined && request.to === undefined ? named(request, timeZone, now) : given(request, timeZone, now);
  if (to <= from) throw mistake("to_time", "expected it after from_time");
  return cut(from, to, timeZone, request.granularity, now);
}

/** The period that another one is compared to. */
export function comparedPeriod(period: Period, by: "previous_period" | "same_period_last_year", now: number): Period {
  const { from, to, timeZone, granularity } = period;
  if (by === "same_period_last_year") {
    const lastYear = (at: number) => zoned(at, timeZone).subtract({ years: 1 }).epochMilliseconds;
    return cut(lastYear(from), lastYear(to), timeZone, granularity, now);
  }
  return cut(before(from, to, timeZone), from, timeZone, granularity, now);
}

function zoneOf(name: string): string {
  if (name === "") return "UTC";
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name).timeZoneId;
  } catch {
    throw mistake("time_zone", `expected an IANA time zone such as Europe/Berlin, got ${JSON.stringify(name)}`);
  }
}

function zoned(at: number, timeZone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone);
}

function startOf(date: Temporal.PlainDate, timeZone: string): number {
  return date.toZonedDateTime(timeZone).epochMilliseconds;
}

function given({ period, from, to }: PeriodRequest, timeZone: string, now: number): { from: number; to: number } {
  if (period !== "") throw mistake("period", "expected it to be empty beside from_time and to_time");
  if (from === undefined) throw mistake("from_time", "expected it beside to_time");
  return { from, to: to ?? endOfToday(timeZone, now) };
}

function endOfToday(timeZone: string, now: number): number {
  return startOf(zoned(now, timeZone).toPlainDate().add({ days: 1 }), timeZone);
}

function named({ period }: PeriodRequest, timeZone: string, now: number): { from: number; to: number } {
  const [, count, unit = ""] = /^P(\d+)([DWMY])$/.exec(period) ?? [];
  if (count !== undefined) {
    const end = zoned(now, timeZone).toPlainDate().add({ days: 1 });
    return { from: startOf(end.subtract({ [units[unit] ?? "days"]: Number(count) }), timeZone), to: startOf(end, timeZone) };
  }
  const [, year, quarter, month, day] = /^(\d{4})(?:-Q([1-4])|-(\d{2})(?:-(\d{2}))?)?$/.exec(period) ?? [];
  const length =
    day !== undefined ? { days: 1 } : month !== undefined ? { months: 1 } : quarter !== undefined ? { months: 3 } : { years: 1 };
  try {
    const first = {
      year: Number(year),
      month: quarter === undefined ? Number(month ?? 1) : 3 * Number(quarter) - 2,
      day: Number(day ?? 1),
    };
    const start = Temporal.PlainDate.from(first, { overflow: "reject" });
    return { from: startOf(start, timeZone), to: startOf(start.add(length), timeZone) };
  } catch {
    throw mistake("period", `expected a date that there is, got ${JSON.stringify(period)}`);
  }
}

const units: Readonly<Record<string, "days" | "weeks" | "months" | "years">> = { D: "days", W: "weeks", M: "months", Y: "years" };

/** The start of the period of the same length before: as many months when it is whole months, else as many days, else as long. */
function before(from: number, to: number, timeZone: string): number {
  const [start, end] = [zoned(from, timeZone), zoned(to, timeZone)];
  const atMidnight = [start, end].every((at) => at.startOfDay().epochMilliseconds === at.epochMilliseconds);
  if (!atMidnight) return from - (to - from);
  const [first, after] = [start.toPlainDate(), end.toPlainDate()];
  const largestUnit = first.day === 1 && after.day === 1 ? "months" : "days";
  const { months, days } = first.until(after, { largestUnit });
  return startOf(first.subtract({ months, days }), timeZone);
}

function cut(from: number, to: number, timeZone: string, granularity: Granularity | "", now: number): Period {
  const days = (to - from) / dayMs;
  // A day more, for the hour that autumn adds.
  const unit = granularity === "" ? (days <= 63 ? "day" : days <= 185 ? "week" : "month") : granularity;
  const buckets: Bucket[] = [];
  let start = floor(zoned(from, timeZone).toPlainDate(), unit);
  for (let at = from; at < to; ) {
    if (buckets.length === maxBuckets)
      throw mistake("granularity", `expected at most ${maxBuckets} ${unit}s in the period, got more`);
    const next = start.add(steps[unit]);
    const [whole, end] = [startOf(start, timeZone), startOf(next, timeZone)];
    buckets.push({
      label: labelOf(start, unit),
      from: at,
      to: Math.min(end, to),
      whole: whole === at && end <= to && end <= now,
    });
    at = Math.min(end, to);
    start = next;
  }
  return { from, to, timeZone, granularity: unit, buckets };
}

const steps = { day: { days: 1 }, week: { weeks: 1 }, month: { months: 1 } } as const;

function floor(date: Temporal.PlainDate, unit: Granularity): Temporal.PlainDate {
  if (unit === "day") return date;
  return unit === "month" ? date.with({ day: 1 }) : date.subtract({ days: date.dayOfWeek - 1 });
}

function labelOf(date: Temporal.PlainDate, unit: Granularity): string {
  if (unit === "day") return date.toString();
  if (unit === "month") return date.toString().slice(0, -3);
  return `${date.yearOfWeek}-W${String(date.weekOfYear).padStart(2, "0")}`;
}

function mistake(field: string, description: string) {
  return invalidArgument([{ field, description }]);
}
