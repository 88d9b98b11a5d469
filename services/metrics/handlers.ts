/** The contract's methods: questions to what is at hand and to the store, and back. */
import { durationFromMs, durationMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type GetHistoryRequest, MetricsService } from "#gen/metrics/v1/metrics_pb.ts";
import type { Charts } from "#mesh/chart/charts.ts";
import { invalidArgument, notFound } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import type { Database } from "#mesh/storage/database.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { historyCharts, latencyChart, type Row, stacked } from "./chart-of.ts";
import type { Collector } from "./collector.ts";
import { historyOf, type Point, type Question } from "./history.ts";
import { rangeOf } from "./history-range.ts";
import type { Retention } from "./levels.ts";
import { type Live, type LiveService, liveOf } from "./live.ts";
import { toInstance, toMethod, toPoint, toService, toTraffic, toWholeService } from "./messages.ts";
import type { Recorder } from "./recorder.ts";
import type { Targets } from "./targets.ts";
import { watchWindows } from "./watch.ts";
import type { Window } from "./window.ts";

/** What the handlers work with. */
export interface HandlerParts {
  readonly db: Database;
  readonly collector: Pick<Collector, "probes" | "truncated" | "leftOut">;
  readonly recorder: Pick<Recorder, "recent" | "pending" | "problem" | "dropped" | "writer" | "onWindow" | "closed">;
  readonly targets: Pick<Targets, "heardAt" | "problem">;
  readonly charts: Charts;
  /** Methods that are streams. */
  readonly streams: ReadonlySet<string>;
  readonly retention: Retention;
  readonly intervalMs: number;
  readonly clock: () => number;
}

/** How many methods and instances a summary names. */
const summarySize = { methods: 10, problems: 100 };

/** How long, in milliseconds, what was added up of the last minute stands while no window ends. */
const freshMs = 1000;

/** How many services a watch tells of. */
const maxWatched = 1000;

/** The contract and its methods. */
export function metricsHandlers(parts: HandlerParts): Implementation {
  const { db, collector, recorder, targets, charts, streams, retention, intervalMs, clock } = parts;
  let last: { readonly windows: readonly Window[]; readonly at: number; readonly live: Live } | undefined;

  /** Added up once for all that ask within a second. */
  function live(): Live {
    const [windows, at] = [recorder.recent, clock()];
    if (last === undefined || last.windows !== windows || Math.abs(at - last.at) > freshMs) {
      last = { windows, at, live: liveOf(windows, collector.probes, at, streams) };
    }
    return last.live;
  }

  function page(pageSize: number, pageToken: string) {
    const after = decodePageToken(pageToken);
    if (after !== undefined && after.length !== 1) throw badPageToken();
    const size = pageSize || defaultPageSize;
    const rest = [...live().services.values()].filter(({ service }) => service > (after?.[0] ?? ""));
    const services = rest.slice(0, size);
    const nextPageToken = rest.length > size ? encodePageToken([services.at(-1)?.service ?? ""]) : "";
    return { services, nextPageToken };
  }

  function one(name: string): LiveService {
    const service = live().services.get(name);
    if (service === undefined) throw notFound("service", name);
    return service;
  }

  async function history(request: GetHistoryRequest): Promise<{ question: Question; points: Point[] }> {
    const { service, method, measure, from, to, step } = request;
    if (method !== "" && measure !== "") {
      throw invalidArgument([{ field: "measure", description: "expected a method or a measure, not both" }]);
    }
    const asked = {
      from: from === undefined ? undefined : timestampMs(from),
      to: to === undefined ? undefined : timestampMs(to),
      step: step === undefined ? undefined : durationMs(step),
    };
    const question = { ...rangeOf(asked, { intervalMs, retention, now: clock() }), service, method, measure };
    return { question, points: await historyOf(db, question, recorder.pending, streams) };
  }

  async function drawn(title: string, rows: readonly Row[], request: { width: number; height: number }, signal: AbortSignal) {
    const size = { width: request.width || undefined, height: request.height || undefined };
    return svg(await charts.render(latencyChart(title, rows, size), signal));
  }

  return implement(MetricsService, {
    listMetrics({ pageSize, pageToken }) {
      const { services, nextPageToken } = page(pageSize, pageToken);
      return { services: services.map(toService), nextPageToken };
    },

    getMetrics({ service }) {
      return { metrics: toWholeService(one(service), collector.truncated(service)) };
    },

    getSummary() {
      const { start, end, services, traffic } = live();
      const all = [...services.values()];
      const methods = all.flatMap(({ service, methods: some }) => some.map((method) => ({ service, ...method })));
      const slowest = methods
        .filter(({ method }) => !streams.has(method))
        .sort((a, b) => (b.traffic.p99 ?? 0) - (a.traffic.p99 ?? 0));
      const failing = methods.filter((method) => method.traffic.errors > 0).sort((a, b) => b.traffic.errors - a.traffic.errors);
      const shown = (some: typeof methods) =>
        some.slice(0, summarySize.methods).map((each) => toMethod(each.service, each.method, each.traffic));
      const problems = collector.probes.filter(({ state }) => state !== "up" && state !== "pending");
      return {
        startTime: timestampFromMs(start),
        endTime: timestampFromMs(end),
        traffic: toTraffic(traffic),
        serviceCount: all.filter(({ probes }) => probes.length > 0).length,
        instanceCount: collector.probes.length,
        upCount: all.reduce((sum, { up }) => sum + up, 0),
        slowest: shown(slowest),
        mostFailing: shown(failing),
        problems: problems.slice(0, summarySize.problems).map(toInstance),
        collection: {
          interval: durationFromMs(intervalMs),
          ...(targets.heardAt === undefined ? {} : { discoveryTime: timestampFromMs(targets.heardAt) }),
          discoveryProblem: targets.problem ?? "",
          instancesLeftOut: collector.leftOut,
          storageProblem: recorder.problem ?? "",
          pendingWindows: recorder.writer || recorder.problem !== undefined ? recorder.pending.length : 0,
          droppedWindows: BigInt(recorder.dropped),
          writing: recorder.writer,
        },
      };
    },

    async getHistory(request) {
      const { question, points } = await history(request);
      const { service, method, measure, from, to, step, keptFrom } = question;
      return {
        ...{ service, method, measure },
        from: timestampFromMs(from),
        to: timestampFromMs(to),
        step: durationFromMs(step),
        keptFrom: timestampFromMs(Math.max(0, keptFrom)),
        points: points.map(toPoint),
      };
    },

    async *watchMetrics({ service }, { signal }) {
      for await (const _ of watchWindows(recorder, signal)) {
        const { services } = live();
        if (service === "") yield { services: [...services.values()].slice(0, maxWatched).map(toService) };
        const found = services.get(service);
        if (found !== undefined) yield { services: [toWholeService(found, collector.truncated(service))] };
      }
    },

    drawMetrics(request, { signal }) {
      const { services } = page(request.pageSize, request.pageToken);
      const rows = services.map(({ service: name, traffic }) => ({ name, traffic }));
      return drawn("Services in the last minute", rows, request, signal);
    },

    drawServiceMetrics(request, { signal }) {
      const { service, methods } = one(request.service);
      const rows = methods.map(({ method: name, traffic }) => ({ name, traffic }));
      return drawn(`${service} in the last minute`, rows, request, signal);
    },

    async drawHistory(request, { signal }) {
      const { question, points } = await history(request);
      const size = { width: request.width || undefined, height: request.height || undefined };
      const documents: string[] = [];
      for (const chart of historyCharts(question, points, size)) documents.push(await charts.render(chart, signal));
      return svg(stacked(documents));
    },
  });
}

function svg(text: string) {
  return { contentType: "image/svg+xml", data: new TextEncoder().encode(text) };
}
