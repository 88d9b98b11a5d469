/** What `GET /api/v1/gateway/stats` tells: counts and latencies since the start, by route and by backend. */
import { performance } from "node:perf_hooks";
import { LRUCache } from "lru-cache";
import { from } from "#mesh/errors.ts";
import type { Exchange } from "./exchange.ts";
import { LatencyHistogram } from "./latency.ts";
import { httpStatusOf } from "./status.ts";

/** The counts of one route or backend. */
interface Counts {
  requests: number;
  /** Answers of status 500 and above. */
  errors: number;
  /** Answers of status 400 to 499. */
  client_errors: number;
  in_flight: number;
  readonly latency: LatencyHistogram;
}

/** Gathers. */
export interface GatewayStats {
  /** Counts a request under its route from now until it is disposed of. */
  begin(exchange: Exchange): Disposable;
  /** Counts a finished request, and its latency from head to end. */
  end(exchange: Exchange): void;
  /** Makes a call to a backend, by its contract's name, and counts it. */
  call<T>(contract: string, work: () => Promise<T>): Promise<T>;
  report(): object;
}

/** How many routes and backends are counted at most: contracts that change at run time must not fill the memory. */
const maxNames = 5000;

/** Stats that begin now. */
export function createGatewayStats(clock: () => number): GatewayStats {
  const startedAt = clock();
  const routes = new LRUCache<string, Counts>({ max: maxNames });
  const backends = new LRUCache<string, Counts>({ max: maxNames });
  const all = newCounts();

  return {
    begin(exchange) {
      const counts = countsOf(routes, routeOf(exchange));
      counts.in_flight++;
      all.in_flight++;
      return {
        [Symbol.dispose]() {
          counts.in_flight--;
          all.in_flight--;
        },
      };
    },
    end(exchange) {
      const ms = performance.now() - exchange.startedAt;
      for (const counts of [all, countsOf(routes, routeOf(exchange))]) note(counts, exchange.response.statusCode, ms);
    },
    async call(contract, work) {
      const counts = countsOf(backends, contract);
      counts.in_flight++;
      const started = performance.now();
      let status = 200;
      try {
        return await work();
      } catch (error) {
        status = httpStatusOf(from(error));
        throw error;
      } finally {
        counts.in_flight--;
        note(counts, status, performance.now() - started);
      }
    },
    report: () => ({
      started_at: new Date(startedAt).toISOString(),
      uptime_seconds: Math.floor((clock() - startedAt) / 1000),
      total: describe(all),
      routes: described(routes),
      backends: described(backends),
    }),
  };
}

function routeOf({ httpMethod, route }: Exchange): string {
  return route === "" ? "other" : `${httpMethod} ${route}`;
}

function newCounts(): Counts {
  return { requests: 0, errors: 0, client_errors: 0, in_flight: 0, latency: new LatencyHistogram() };
}

function countsOf(all: LRUCache<string, Counts>, name: string): Counts {
  let counts = all.get(name);
  if (counts === undefined) {
    counts = newCounts();
    all.set(name, counts);
  }
  return counts;
}

function note(counts: Counts, status: number, ms: number): void {
  counts.requests++;
  if (status >= 500) counts.errors++;
  else if (status >= 400) counts.client_errors++;
  counts.latency.add(ms);
}

function describe({ latency, ...counts }: Counts): object {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => latency.quantile(share) ?? null);
  return { ...counts, latency_ms: { p50, p95, p99 } };
}

function described(all: LRUCache<string, Counts>): object {
  return Object.fromEntries(
    [...all.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, counts]) => [name, describe(counts)]),
  );
}
