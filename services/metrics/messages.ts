/** From what is known to the messages of the contract. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HistoryPointSchema } from "#gen/metrics/v1/metrics_pb.ts";
import {
  type InstanceMetricsSchema,
  InstanceState,
  MeasureKind,
  type MeasureSchema,
  type MethodMetricsSchema,
  type ServiceMetricsSchema,
  type TrafficSchema,
} from "#gen/metrics/v1/traffic_pb.ts";
import type { Point } from "./history.ts";
import type { LiveService } from "./live.ts";
import type { Probe, ProbeState } from "./probe.ts";
import type { Traffic } from "./traffic.ts";
import type { MeasureRow } from "./window.ts";

/** A service without its methods, instances and measures. */
export function toService(service: LiveService): MessageInitShape<typeof ServiceMetricsSchema> {
  return outlineOf(service);
}

/** A service with all that it has. */
export function toWholeService(
  service: LiveService,
  truncated: readonly string[],
): MessageInitShape<typeof ServiceMetricsSchema> {
  return {
    ...outlineOf(service),
    methods: service.methods.map(({ method, traffic }) => toMethod(service.service, method, traffic)),
    instances: service.probes.toSorted((a, b) => (a.target.instance < b.target.instance ? -1 : 1)).map(toInstance),
    measures: service.measures.map(toMeasure),
    truncated: [...truncated],
  };
}

/** One method of a service. */
export function toMethod(service: string, method: string, traffic: Traffic): MessageInitShape<typeof MethodMetricsSchema> {
  return { service, method, traffic: toTraffic(traffic) };
}

/** One instance. */
export function toInstance(probe: Probe): MessageInitShape<typeof InstanceMetricsSchema> {
  const { target, state, problem, tookSeconds, failures, last } = probe;
  const { instance, service, host, port } = target;
  const startTime = last?.known.startTime;
  return {
    ...{ instance, service, problem, failures },
    address: host === undefined ? "" : `${host.includes(":") ? `[${host}]` : host}:${port}`,
    state: stateOf[state],
    answerSeconds: tookSeconds,
    sampleCount: last?.samples ?? 0,
    ...(last === undefined ? {} : { answerTime: timestampFromMs(last.at) }),
    ...(startTime === undefined ? {} : timeOf(startTime)),
  };
}

/** One step of history. */
export function toPoint(point: Point): MessageInitShape<typeof HistoryPointSchema> {
  const { start, collected, traffic, value, max, up } = point;
  return {
    startTime: timestampFromMs(start),
    collected: durationFromMs(Math.round(collected * 1000)),
    ...(traffic === undefined ? {} : { traffic: toTraffic(traffic) }),
    ...(value === undefined ? {} : { value }),
    ...(max === undefined ? {} : { max }),
    ...(up === undefined ? {} : { upCount: up }),
  };
}

/** Calls. */
export function toTraffic(traffic: Traffic): MessageInitShape<typeof TrafficSchema> {
  const { calls, rate, errors, errorShare, outcomes, p50, p95, p99, mean } = traffic;
  return {
    calls: BigInt(Math.round(calls)),
    rate,
    errors: BigInt(Math.round(errors)),
    outcomes: Object.fromEntries([...outcomes].map(([outcome, count]) => [outcome, BigInt(Math.round(count))])),
    ...(errorShare === undefined ? {} : { errorShare }),
    ...(p50 === undefined ? {} : { p50Seconds: p50 }),
    ...(p95 === undefined ? {} : { p95Seconds: p95 }),
    ...(p99 === undefined ? {} : { p99Seconds: p99 }),
    ...(mean === undefined ? {} : { meanSeconds: mean }),
  };
}

const stateOf: Readonly<Record<ProbeState, InstanceState>> = {
  pending: InstanceState.PENDING,
  up: InstanceState.UP,
  down: InstanceState.DOWN,
  slow: InstanceState.SLOW,
  malformed: InstanceState.MALFORMED,
  "too-large": InstanceState.TOO_LARGE,
};

function toMeasure({ name, kind, value, max }: MeasureRow): MessageInitShape<typeof MeasureSchema> {
  const kinds = { counter: MeasureKind.COUNTER, gauge: MeasureKind.GAUGE };
  return { name, kind: kinds[kind], value, ...(max === undefined ? {} : { max }) };
}

/** An instance may say anything of its start; what is no time of the calendar is left out. */
function timeOf(seconds: number) {
  return seconds >= 0 && seconds < 253_402_300_800 ? { processStartTime: timestampFromMs(Math.round(seconds * 1000)) } : {};
}

function outlineOf(service: LiveService) {
  return {
    service: service.service,
    startTime: timestampFromMs(service.start),
    endTime: timestampFromMs(service.end),
    traffic: toTraffic(service.traffic),
    instanceCount: service.probes.length,
    upCount: service.up,
    ...(service.cpuCores === undefined ? {} : { cpuCores: service.cpuCores }),
    ...(service.memoryBytes === undefined ? {} : { memoryBytes: service.memoryBytes }),
  };
}
