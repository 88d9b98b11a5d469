/**
 * The admin listener: HTTP/1.1 for Prometheus, Kubernetes and people. It tells nothing secret, changes breakers and what the
 * service's own routes change, and asks for no credentials: it belongs on loopback or a private network.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { crossSiteProblem } from "../net/same-site.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { type AdminRoute, answerOf, routesAt } from "./admin-route.ts";
import type { HealthBoard } from "./health.ts";
import { bindProblem } from "./listener.ts";

/** What the admin listener shows of a circuit breaker; the mesh client's view has this shape. */
export interface BreakerView {
  readonly service: string;
  /** host:port; undefined for the breaker of the service as a whole. */
  readonly endpoint: string | undefined;
  readonly state: "CLOSED" | "OPEN" | "HALF_OPEN" | "FORCED_OPEN" | "DISABLED";
  /** 0 to 1, over the present window. */
  readonly failureRate: number;
  /** In the present window. */
  readonly calls: number;
  /** Milliseconds since the epoch; undefined unless OPEN. */
  readonly openUntil: number | undefined;
}

/** Where to listen, and what to show. */
export interface AdminOptions {
  host: string;
  /** 0 lets the system choose. */
  port: number;
  health: HealthBoard;
  metrics: Metrics;
  breakers(): readonly BreakerView[];
  /** Closes the breakers of a service, by its name or a contract's; false when there are none. */
  resetBreaker(service: string): boolean;
  /** The service's own. Default none. */
  routes?: readonly AdminRoute[];
  log: Logger;
}

/** A running admin listener. */
export interface Admin {
  readonly port: number;
  /** Ends at once; nobody waits for an admin answer. */
  close(): Promise<void>;
}

/**
 * Listens.
 *
 * | path | answer |
 * |---|---|
 * | GET /livez | 200 while the event loop turns |
 * | GET /readyz | 200 when SERVING, else 503 |
 * | GET /health | `{"status"}`: UP, DEGRADED (both 200) or DOWN (503) |
 * | GET /health/detailed | the same with every check |
 * | GET /metrics, /api/v1/metrics | Prometheus text |
 * | GET /circuit-breakers | every breaker |
 * | POST /circuit-breaker/reset/{service} | closes the service's breakers |
 * | the service's own | see sagaRoutes, outboxRoutes |
 *
 * @throws Error with one sentence when the port cannot be had.
 */
export async function startAdmin(o: AdminOptions): Promise<Admin> {
  const server = createServer((request, response) => {
    answer(o, request).then(
      (reply) => send(request, response, reply),
      (err: unknown) => {
        o.log.error({ err, path: request.url }, "an admin request failed");
        send(request, response, problem(500, "internal error"));
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(new Error(bindProblem(o.host, o.port, cause), { cause })));
    server.listen({ host: o.host, port: o.port, exclusive: true }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      return closed.promise;
    },
  };
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly allow?: string;
}

/** What one path does, by method. HEAD is GET without the body. */
type Handlers = Readonly<Record<string, () => Reply | Promise<Reply>>>;

async function answer(o: AdminOptions, request: IncomingMessage): Promise<Reply> {
  const [path = "", query = ""] = (request.url ?? "").replace(/#.*/s, "").split(/\?(.*)/s);
  const handlers = handlersOf(o, path) ?? ownHandlers(o, path, query);
  if (handlers === undefined) return problem(404, `there is nothing at ${path.slice(0, 200)}`);
  const handler = handlers[request.method === "HEAD" ? "GET" : (request.method ?? "")];
  // Reads tell nothing secret, and probes come by whatever name; what changes something must not come from a web page.
  const refusal = request.method === "POST" ? crossSiteProblem("POST", request.headers, [o.host]) : undefined;
  if (refusal !== undefined) return problem(403, refusal);
  if (handler !== undefined) return handler();
  const allow = Object.keys(handlers).join(", ");
  return { ...problem(405, `expected ${allow}, got ${request.method}`), allow };
}

const resetPath = "/circuit-breaker/reset/";

function handlersOf(o: AdminOptions, path: string): Handlers | undefined {
  if (path.startsWith(resetPath)) return { POST: () => reset(o, path.slice(resetPath.length)) };
  switch (path) {
    case "/livez":
      return { GET: () => json(200, { status: "UP" }) };
    case "/readyz":
      return { GET: () => readiness(o.health) };
    case "/health":
      return { GET: () => health(o.health, ({ status }) => ({ status })) };
    case "/health/detailed":
      return { GET: () => health(o.health, (detail) => detail) };
    case "/metrics":
    case "/api/v1/metrics":
      return {
        GET: async () => ({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: await o.metrics.text() }),
      };
    case "/circuit-breakers":
      return { GET: () => json(200, { circuitBreakers: o.breakers() }) };
    default:
      return undefined;
  }
}

function ownHandlers(o: AdminOptions, path: string, query: string): Handlers | undefined {
  const found = routesAt(o.routes ?? [], path);
  if (found === undefined) return undefined;
  const entries = [...found].map(([method, bound]) => {
    const handler = async () => {
      const { status, value } = await answerOf(bound, new URLSearchParams(query));
      if (method === "POST") o.log.info({ path, status }, "admin request");
      return json(status, value);
    };
    return [method, handler] as const;
  });
  return Object.fromEntries(entries);
}

function readiness(board: HealthBoard): Reply {
  const status = board.status("") ?? "UNKNOWN";
  return json(status === "SERVING" ? 200 : 503, { status });
}

function health(board: HealthBoard, view: (detail: ReturnType<HealthBoard["detail"]>) => unknown): Reply {
  const detail = board.detail();
  return json(detail.status === "DOWN" ? 503 : 200, view(detail));
}

function reset(o: AdminOptions, encoded: string): Reply {
  let service: string;
  try {
    service = decodeURIComponent(encoded);
  } catch {
    return problem(400, "the service's name: expected percent escapes of UTF-8");
  }
  if (!o.resetBreaker(service)) return problem(404, `there is no circuit breaker for ${JSON.stringify(service.slice(0, 200))}`);
  o.log.info({ target: service }, "circuit breaker reset");
  return json(200, { service, reset: true });
}

function json(status: number, value: unknown): Reply {
  return { status, type: "application/json", body: JSON.stringify(value) };
}

function problem(status: number, message: string): Reply {
  return json(status, { error: message });
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body, allow }: Reply): void {
  // A body that nobody reads would keep the connection busy.
  request.resume();
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    ...(allow === undefined ? {} : { allow }),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
