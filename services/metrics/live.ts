/** The last minute: every service, added up from the windows that the process holds. */
import type { Probe } from "./probe.ts";
import { type Traffic, trafficOf } from "./traffic.ts";
import { CallTally, type MeasureRow, type ServiceWindow, type Window } from "./window.ts";

/** One service in the last minute. */
export interface LiveService {
  readonly service: string;
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
  readonly traffic: Traffic;
  readonly methods: readonly { readonly method: string; readonly traffic: Traffic }[];
  /** Of a counter `value` is its growth per second. */
  readonly measures: readonly MeasureRow[];
  readonly probes: readonly Probe[];
  readonly up: number;
  readonly cpuCores: number | undefined;
  readonly memoryBytes: number | undefined;
}

/** All services, by name; the traffic of all together. */
export interface Live {
  readonly start: number;
  readonly end: number;
  readonly services: ReadonlyMap<string, LiveService>;
  readonly traffic: Traffic;
}

/** Adds up. `now` stands for both ends while there is no window yet; the time of `streams` is no service's. */
export function liveOf(windows: readonly Window[], probes: readonly Probe[], now: number, streams: ReadonlySet<string>): Live {
  const start = windows[0]?.start ?? now;
  const end = windows.at(-1)?.end ?? now;
  const parts = Map.groupBy(
    windows.flatMap(({ services }) => services),
    ({ service }) => service,
  );
  const probesOf = Map.groupBy(probes, ({ target }) => target.service);
  const names = [...new Set([...parts.keys(), ...probesOf.keys()])].sort();
  const services = names.map((name) =>
    liveService(name, parts.get(name) ?? [], probesOf.get(name) ?? [], { start, end, streams }),
  );
  const rows = [...parts.values()].flat().flatMap(({ calls }) => calls);
  return {
    start,
    end,
    services: new Map(services.map((service) => [service.service, service])),
    traffic: trafficOf(rows, (end - start) / 1000, streams),
  };
}

function liveService(
  service: string,
  parts: readonly ServiceWindow[],
  probes: readonly Probe[],
  { start, end, streams }: { readonly start: number; readonly end: number; readonly streams: ReadonlySet<string> },
): LiveService {
  const tally = new CallTally();
  for (const { calls } of parts) for (const row of calls) tally.addRow(row);
  const rows = tally.rows();
  const seconds = parts.reduce((sum, part) => sum + part.seconds, 0);
  const methods = [...Map.groupBy(rows, ({ method }) => method)].map(([method, some]) => ({
    method,
    traffic: trafficOf(some, seconds),
  }));
  const measures = measuresOf(parts, seconds);
  const valueOfMeasure = (name: string) => measures.find((measure) => measure.name === name)?.value;
  return {
    ...{ service, start, end, probes, measures },
    traffic: trafficOf(rows, seconds, streams),
    methods: methods.sort((a, b) => b.traffic.calls - a.traffic.calls || (a.method < b.method ? -1 : 1)),
    up: probes.filter(({ state }) => state === "up").length,
    cpuCores: valueOfMeasure("process_cpu_seconds_total"),
    memoryBytes: valueOfMeasure("process_resident_memory_bytes"),
  };
}

/** Counters as growth per second; gauges as in the last window that has them. */
function measuresOf(parts: readonly ServiceWindow[], seconds: number): MeasureRow[] {
  const measures = new Map<string, MeasureRow>();
  for (const part of parts) {
    for (const row of part.measures) {
      const key = `${row.kind} ${row.name}`;
      const before = row.kind === "counter" ? (measures.get(key)?.value ?? 0) : 0;
      measures.set(key, { ...row, value: row.value + before });
    }
  }
  return [...measures.values()]
    .map((row) => (row.kind === "counter" ? { ...row, value: seconds > 0 ? row.value / seconds : 0 } : row))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
