/** A service over time: what the database has, and the windows that are on their way there. */
import { notFound } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { levelRanges, type Range } from "./history-range.ts";
import { findKnown, type Known, readCalls, readPresence } from "./history-store.ts";
import { progressOf } from "./levels.ts";
import { type Traffic, trafficOf } from "./traffic.ts";
import { type CallRow, CallTally, type Window } from "./window.ts";

/** What is asked for. */
export interface Question extends Range {
  readonly service: string;
  /** "": all. */
  readonly method: string;
  /** "": the calls. */
  readonly measure: string;
}

/** One step. */
export interface Point {
  /** Milliseconds since the epoch. */
  readonly start: number;
  /** Of the step, in seconds; 0: nothing is known, and the rest is undefined. */
  readonly collected: number;
  readonly traffic: Traffic | undefined;
  /** Of a counter its growth per second, of a gauge its sum. */
  readonly value: number | undefined;
  readonly max: number | undefined;
  /** Instances that answered, on average. */
  readonly up: number | undefined;
}

/** What is known of one step. */
interface Step {
  readonly tally: CallTally;
  seconds: number;
  upSeconds: number;
  total: number;
  max: number | undefined;
}

/**
 * Every step of the range, in order. `pending` are windows that may not be in the database yet; the time of `streams` is not a
 * service's.
 *
 * @throws NOT_FOUND for a service, method or measure of which nothing was ever kept; UNAVAILABLE while the database is away.
 */
export async function historyOf(
  db: Database,
  question: Question,
  pending: readonly Window[],
  streams: ReadonlySet<string> = new Set(),
): Promise<Point[]> {
  const { service, method, measure, from, to, step } = question;
  // Asked before the windows are looked at, so that none is missed in between; those that are written meanwhile are not read twice.
  const until = await progressOf(db);
  const waiting = pending.filter(({ start, end }) => start >= (until.get(0) ?? 0) && end > from && start < to);
  const known = await findKnown(db, service, method, measure);
  const kind = kindOf(question, known, waiting);
  const steps = new Map<number, Step>();
  const stepAt = (place: number): Step => {
    const found = steps.get(place) ?? { tally: new CallTally(), seconds: 0, upSeconds: 0, total: 0, max: undefined };
    steps.set(place, found);
    return found;
  };
  if (known !== undefined) {
    const ranges = levelRanges(question, until);
    const measureId = known.measures.find((some) => some.kind === kind)?.id;
    const presence = await readPresence(db, known.serviceId, measureId, ranges, question);
    for (const { place, seconds, upSeconds, total, max } of presence) add(stepAt(place), seconds, upSeconds, total ?? 0, max);
    const calls = measure === "" ? await readCalls(db, known.seriesIds, ranges, question, [...streams]) : [];
    for (const row of calls) stepAt(row.place).tally.addRow(row);
  }
  for (const { start, services } of waiting) {
    const own = services.find((some) => some.service === service);
    if (own === undefined) continue;
    const at = stepAt(Math.floor((start - from) / step));
    const row = own.measures.find((some) => some.name === measure && some.kind === kind);
    const total = row === undefined ? 0 : row.kind === "gauge" ? row.value * own.seconds : row.value;
    add(at, own.seconds, own.up * own.seconds, total, row?.max);
    for (const call of matching(own.calls, method)) at.tally.addRow(call);
  }
  return Array.from({ length: (to - from) / step }, (_, place) =>
    pointOf(from + place * step, steps.get(place), { question, kind, streams }),
  );
}

function add(step: Step, seconds: number, upSeconds: number, total: number, max: number | undefined): void {
  step.seconds += seconds;
  step.upSeconds += upSeconds;
  step.total += total;
  if (max !== undefined) step.max = Math.max(step.max ?? Number.NEGATIVE_INFINITY, max);
}

function pointOf(
  start: number,
  step: Step | undefined,
  { question, kind, streams }: { question: Question; kind: string | undefined; streams: ReadonlySet<string> },
): Point {
  const { measure } = question;
  const nothing = { start, collected: 0, traffic: undefined, value: undefined, max: undefined, up: undefined };
  if (step === undefined || step.seconds === 0) return nothing;
  const { seconds, upSeconds, total, max, tally } = step;
  const seen = kind === "counter" || max !== undefined;
  return {
    start,
    collected: seconds,
    traffic: measure === "" ? trafficOf(tally.rows(), seconds, streams) : undefined,
    value: measure !== "" && seen ? total / seconds : undefined,
    max: kind === "gauge" ? max : undefined,
    up: upSeconds / seconds,
  };
}

/** The kind of the measure that is asked for. @throws NOT_FOUND. */
function kindOf(
  { service, method, measure }: Question,
  known: Known | undefined,
  waiting: readonly Window[],
): "counter" | "gauge" | undefined {
  const own = waiting.flatMap(({ services }) => services.filter((some) => some.service === service));
  if (known === undefined && own.length === 0) throw notFound("service", service);
  if (measure !== "") {
    const kind =
      own.flatMap(({ measures }) => measures).find(({ name }) => name === measure)?.kind ?? known?.measures.at(-1)?.kind;
    if (kind === undefined) throw notFound("measure", measure);
    return kind;
  }
  const called = (known?.seriesIds.length ?? 0) > 0 || own.some(({ calls }) => matching(calls, method).length > 0);
  if (method !== "" && !called) throw notFound("method", method);
  return undefined;
}

function matching(calls: readonly CallRow[], method: string): readonly CallRow[] {
  return method === "" ? calls : calls.filter((call) => call.method === method);
}
