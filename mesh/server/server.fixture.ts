/** A server on a free port with everything that it needs, and clients of it, all closed at the end of a `using` block. */
import { type Client, ConnectError, createClient, type ServiceImpl, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import type { Principal } from "../context.ts";
import { unauthenticated } from "../errors.ts";
import { callerToken, callerVerifier } from "../identity/caller.ts";
import { createLogger } from "../telemetry/log.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import { createTracing } from "../telemetry/trace.ts";
import { EchoService } from "./echo.fixture.ts";
import { HealthBoard } from "./health.ts";
import { implement } from "./implementation.ts";
import { type Server, type ServerOptions, startServer } from "./server.ts";

export const meshSecret = "0123456789abcdef0123456789abcdef";

/** The headers by which a call proves that `service` makes it. */
export async function asService(service: string): Promise<Record<string, string>> {
  return { "x-heddle-caller": await callerToken(service, meshSecret).current(Date.now()) };
}

/** A user, as the fixture's verifier makes it of the token `user-<id>` or `admin-<id>`. */
export function user(id: string, roles: readonly string[] = []): Principal {
  const token = `${roles.includes("admin") ? "admin" : "user"}-${id}`;
  return { kind: "user", id, roles, scopes: [], sessionId: "s1", token, expiresAt: 9e15, degraded: false };
}

/** `expired` is refused as expired, `user-x` and `admin-x` are the user x, all else is invalid. */
async function verify(token: string): Promise<Principal> {
  if (token === "expired") throw unauthenticated("TOKEN_EXPIRED", "the access token has expired");
  if (token.startsWith("user-")) return user(token.slice(5));
  if (token.startsWith("admin-")) return user(token.slice(6), ["admin"]);
  throw unauthenticated("TOKEN_INVALID", "the access token does not verify");
}

export type EchoHandlers = Partial<ServiceImpl<typeof EchoService>>;
export type EchoClient = Client<typeof EchoService>;

/** The running fixture. */
export interface Harness extends AsyncDisposable {
  readonly server: Server;
  readonly url: string;
  readonly health: HealthBoard;
  readonly metrics: Metrics;
  /** The lines of the log, parsed. */
  readonly lines: Record<string, unknown>[];
  transport(protocol: "grpc" | "grpc-web" | "connect"): Transport;
  client(protocol?: "grpc" | "grpc-web" | "connect"): EchoClient;
}

export async function startEcho(methods: EchoHandlers, options: Partial<ServerOptions> = {}): Promise<Harness> {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const identity = { service: "echo", instance: "echo-1" };
  const metrics = createMetrics({ ...identity, version: "0" });
  const health = new HealthBoard({ services: [EchoService.typeName], checks: [] });
  health.setServing(true);
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    implementations: [implement(EchoService, methods as ServiceImpl<typeof EchoService>)],
    health,
    verifier: { verify },
    verifyCaller: callerVerifier(meshSecret),
    log: createLogger({ ...identity, level: "debug", destination }),
    metrics,
    tracing: createTracing({ ...identity, endpoint: undefined }),
    ...options,
  });
  const url = `http://127.0.0.1:${server.port}`;
  const sessions: Http2SessionManager[] = [];
  const transport = (protocol: "grpc" | "grpc-web" | "connect"): Transport => {
    const sessionManager = new Http2SessionManager(url);
    sessions.push(sessionManager);
    const create = { grpc: createGrpcTransport, "grpc-web": createGrpcWebTransport, connect: createConnectTransport }[protocol];
    return create({ baseUrl: url, httpVersion: "2", sessionManager });
  };
  return {
    server,
    url,
    health,
    metrics,
    lines,
    transport,
    client: (protocol = "grpc") => createClient(EchoService, transport(protocol)),
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.abort();
      await server.drain(0);
      await metrics[Symbol.asyncDispose]();
      health.close();
    },
  };
}

/** The error that `call` ends with. */
export async function refusal(call: Promise<unknown>): Promise<ConnectError> {
  const outcome = await call.then(
    () => new Error("the call was let in"),
    (error: unknown) => error,
  );
  if (!(outcome instanceof ConnectError)) throw outcome;
  return outcome;
}

/** Settles once `condition` holds; rejects after 5 s. */
export async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within 5 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
