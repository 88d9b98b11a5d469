/** Serves contracts over gRPC, gRPC-Web and Connect on one port, through one list of layers. */

import type { RequestListener } from "node:http";
import { constants, type Http2Server, type Http2ServerRequest } from "node:http2";
import { type ConnectRouter, createContextValues, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Principal } from "../context.ts";
import { from, unavailable } from "../errors.ts";
import type { RefusalReporter } from "../identity/refusal-reporter.ts";
import type { TokenVerifier } from "../identity/tokens.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Tracing } from "../telemetry/trace.ts";
import { Call, callKey, type Peer, peerKey } from "./call.ts";
import { readContext } from "./call-context.ts";
import { directUnary } from "./direct-unary.ts";
import type { HealthBoard } from "./health.ts";
import { healthService } from "./health-service.ts";
import type { Implementation } from "./implementation.ts";
import { enforceAccess, errorBoundary, holdDeadline, validateRequests, withinContext } from "./layers.ts";
import { http2Server, type Listener, listen } from "./listener.ts";
import {
  auditRefusals,
  logAndMeasure,
  otherMethod,
  reportOutcome,
  type ServerMetrics,
  serverMetrics,
  traceCall,
} from "./observe.ts";
import { OpenCalls } from "./open-calls.ts";
import { reflectionServices } from "./reflection.ts";
import { checkHeaders } from "./request-headers.ts";
import { holdBackHeaders } from "./trailers-only.ts";
import { sendReply, unknownMethodReply } from "./unknown-method.ts";
import { compressions, weighRequests } from "./weigh-requests.ts";

/** What to serve, where, and what the layers need. */
export interface ServerOptions {
  host: string;
  /** 0 lets the system choose. */
  port: number;
  implementations: readonly Implementation[];
  health: HealthBoard;
  verifier: TokenVerifier;
  /** Checks `x-heddle-caller`; see callerVerifier. */
  verifyCaller: (token: string, now: number) => Promise<Principal>;
  log: Logger;
  /** Hears of calls that were refused for who made them. Default: nobody does. */
  refusals?: Pick<RefusalReporter, "report">;
  metrics: Metrics;
  tracing: Tracing;
  /**
   * The largest request message in bytes, after decompression. Default 1 MiB: decoded, a message takes several times its bytes, and what
   * a few of 4 MiB take, as other gRPC libraries allow, is more than a process may hold. What its values may take is bounded besides; see
   * weigh-requests.ts.
   */
  maxMessageBytes?: number;
}

/** A server that listens. */
export interface Server {
  readonly port: number;
  /** GOAWAY, finish what is in flight for at most `ms` milliseconds, close. Calls that are cut short end UNAVAILABLE. */
  drain(ms: number): Promise<void>;
}

/**
 * Starts to serve; health and reflection come with it.
 *
 * @throws Error when validation rules do not compile, or with one sentence when the port cannot be had.
 */
export async function startServer(o: ServerOptions): Promise<Server> {
  const builtIn = [healthService(o.health), ...reflectionServices([...o.implementations, healthService(o.health)])];
  const served = [...o.implementations, ...builtIn];
  const metrics = serverMetrics(o.metrics.meter);
  const calls = new OpenCalls();
  const shutdown = new AbortController();
  const readMaxBytes = o.maxMessageBytes ?? 2 ** 20;

  const { app, http2, handler } = createApp();
  const handling = {
    contextValues: (request: FastifyRequest) => createContextValues().set(peerKey, peerOf(request)),
    requestGate: gateOf(o, calls, metrics, builtIn),
    interceptors: interceptorsOf(o),
    acceptCompression: [...compressions],
    readMaxBytes,
    // Each field that a contract does not know would be kept as an object: two bytes of a request become a hundred.
    binaryOptions: { readUnknownFields: false },
    shutdownSignal: shutdown.signal,
  };
  app.addHook("onRequest", checkHeaders);
  app.addHook("onRequest", directUnary({ served, ...handling, log: o.log }));
  app.addHook("onRequest", holdBackHeaders);
  app.setNotFoundHandler(answerUnknown(metrics, o.log));
  await app.register(fastifyConnectPlugin, {
    routes: (router: ConnectRouter) => {
      for (const { service, methods } of served) router.service(service, methods);
      weighRequests(router, readMaxBytes);
    },
    ...handling,
  });
  await app.ready();

  const listener = await listen({ host: o.host, port: o.port, handler, http2, log: o.log });
  return {
    port: listener.port,
    drain: (ms) => drain(ms, { app, listener, calls, shutdown }),
  };
}

/** The layers that a call passes on its headers alone, outermost first. What they refuse is never read or decoded. */
function gateOf(o: ServerOptions, calls: OpenCalls, metrics: ServerMetrics, builtIn: readonly Implementation[]) {
  const open = new Set(builtIn.map(({ service }) => service));
  const layers: readonly ((call: Call) => void | Promise<void>)[] = [
    // Trace: continue the caller's or begin one, so that all that follows has an id to log.
    traceCall(o.tracing.tracer),
    // Log and metrics: from here on every call is counted and gets its line, whatever ends it.
    logAndMeasure(o.log, metrics),
    // Audit: a refusal goes to the audit log, after the answer.
    auditRefusals(o.refusals),
    // Open calls: known from here to their end, for drain.
    (call) => calls.add(call),
    // Deadline and context: an expired deadline is refused; identity, correlation id and criticality are read.
    readContext(o),
    // Access rule of the contract.
    enforceAccess(o.implementations.map(({ service }) => service)),
  ];
  return async (context: HandlerContext): Promise<void> => {
    const call = new Call(context, open.has(context.service));
    context.values.set(callKey, call);
    try {
      for (const layer of layers) await layer(call);
    } catch (thrown) {
      throw from(thrown);
    }
  };
}

/** The layers around the handler, outermost first. */
function interceptorsOf(o: ServerOptions): Interceptor[] {
  return [
    // Log and metrics: how the handler ended.
    reportOutcome,
    // Error boundary: anything thrown below becomes one ConnectError.
    errorBoundary,
    // Deadline: the caller is answered when it passes, even if the handler goes on.
    holdDeadline,
    // Validation: each request message against the rules of its contract.
    validateRequests(o.implementations.map(({ service }) => service)),
    // The handler runs inside the call's context.
    withinContext,
  ];
}

/** How long a stream without a deadline must have sent nothing to count as waiting for events, in milliseconds. */
const quietMs = 250;
/** How long calls that were cut short have to send their status, in milliseconds. */
const lastWordsMs = 250;

interface Running {
  readonly app: FastifyInstance;
  readonly listener: Listener;
  readonly calls: OpenCalls;
  readonly shutdown: AbortController;
}

async function drain(ms: number, { app, listener, calls, shutdown }: Running): Promise<void> {
  const leaving = () => unavailable("the server is shutting down");
  listener.stop();
  // Watches would otherwise hold up every restart for the whole time: nothing bounds them but the server's end.
  const endWatches = () => calls.endQuietStreams(quietMs, performance.now(), leaving());
  endWatches();
  const watches = setInterval(endWatches, 50);
  const late = setTimeout(() => shutdown.abort(leaving()), ms);
  const last = setTimeout(() => listener.destroy(), ms + lastWordsMs);
  await listener.drained;
  clearInterval(watches);
  clearTimeout(late);
  clearTimeout(last);
  await app.close();
}

/** Fastify over an HTTP/2 server that does not listen: the port belongs to listener.ts, and so does its end (fastify #5866). */
function createApp(): { app: FastifyInstance; http2: Http2Server; handler: RequestListener } {
  let http2: Http2Server | undefined;
  let handler: RequestListener | undefined;
  const app = Fastify({
    http2: true,
    logger: false,
    serverFactory(requestListener) {
      handler = requestListener as unknown as RequestListener;
      http2 = http2Server(handler);
      return http2;
    },
  });
  if (http2 === undefined || handler === undefined) throw new Error("Fastify did not ask for its server");
  // Bodies are read by Connect alone; Fastify would refuse the media types that it does not know before the 404.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null, undefined));
  return { app: app as unknown as FastifyInstance, http2, handler };
}

/** A path that is no method passes no layer, so it is counted and logged here. */
function answerUnknown(metrics: ServerMetrics, log: Logger) {
  return (request: FastifyRequest, reply: FastifyReply): void => {
    const path = request.url.replace(/\?.*/s, "");
    metrics.started(otherMethod);
    metrics.ended(otherMethod, "UNIMPLEMENTED", 0);
    log.info({ method: otherMethod, path: path.slice(0, 200), code: "UNIMPLEMENTED", peer: peerOf(request).address }, "call");
    reply.hijack();
    sendReply(reply.raw, unknownMethodReply(path, request.headers["content-type"]));
  };
}

function peerOf(request: FastifyRequest): Peer {
  const raw = request.raw as unknown as Http2ServerRequest;
  // After the peer has hung up there is no socket left to ask.
  const { remoteAddress = "unknown", remotePort = 0 } = raw.socket ?? {};
  return { address: `${remoteAddress}:${remotePort}`, reset: () => resetStream(raw) };
}

/** On HTTP/1.1 there are no streams, so it takes the connection. Does nothing to a call that is over. */
function resetStream(raw: Http2ServerRequest): void {
  if (raw.stream === undefined) raw.destroy();
  else if (!raw.stream.closed) raw.stream.close(constants.NGHTTP2_CANCEL);
}
