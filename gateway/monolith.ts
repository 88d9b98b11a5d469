/**
 * The way to a monolith that is being taken apart: what no service answers yet goes on to it as it came. Requests go through
 * @fastify/reply-from, on a Fastify of their own that listens nowhere.
 *
 * The monolith does its own checks of who may do what, as it did before there was a gateway: credentials are passed on.
 */
import type { IncomingHttpHeaders } from "node:http";
import { Code, type ConnectError } from "@connectrpc/connect";
import replyFrom from "@fastify/reply-from";
import fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import type { Exchange } from "./exchange.ts";
import { inviteBody } from "./invitation.ts";
import { isUnder, type MonolithShare, placeOf, sideCookie } from "./monolith-choice.ts";
import { httpError } from "./status.ts";

/** Where the monolith is, and what goes to it. */
export interface MonolithOptions extends MonolithShare {
  /** `http://host:port`, without a path. */
  readonly url: URL;
  /** Milliseconds until the head of its answer, and between two pieces of it. Default 30,000. */
  readonly timeoutMs?: number;
  /** How many proxies stand in front of this gateway: their X-Forwarded-* are believed. */
  readonly trustedHops?: number;
}

/** The monolith. Disposing closes its connections. */
export interface Monolith extends AsyncDisposable {
  /** Whether a path that no service has goes to it. */
  takesUnknown(path: string): boolean;
  /** Whether this client's request for a path that a service has goes to it; sets the cookie that keeps it there. */
  takesKnown(exchange: Exchange): boolean;
  /**
   * Passes the request on and its answer back; settles at the end of both.
   *
   * @throws an error of status 502 or 504 when there is no answer to pass on.
   */
  answer(exchange: Exchange): Promise<void>;
}

/** Nothing is connected to before the first request. */
export async function openMonolith(options: MonolithOptions): Promise<Monolith> {
  const { url, prefixes, percent, timeoutMs = 30_000 } = options;
  const passing = new WeakMap<object, { readonly exchange: Exchange; readonly fail: (error: ConnectError) => void }>();
  const app = fastify({ logger: false, rewriteUrl: () => "/", forceCloseConnections: true, bodyLimit: Number.MAX_SAFE_INTEGER });
  await app.register(replyFrom, {
    base: url.origin,
    undici: { headersTimeout: timeoutMs, bodyTimeout: timeoutMs, connect: { timeout: Math.min(timeoutMs, 5000) } },
    disableCache: true,
    disableRequestLogging: true,
    destroyAgent: true,
  });
  // Bodies go on as they come.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
  app.route({ method: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], url: "/", handler: pass });
  app.setNotFoundHandler(pass);
  await app.ready();

  function pass(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
    const under = passing.get(request.raw);
    if (under === undefined) return undefined;
    const { exchange, fail } = under;
    const refuse = (error: ConnectError) => {
      reply.hijack();
      fail(error);
    };
    try {
      return reply.from(exchange.path, {
        queryString: () => exchange.query,
        // The mesh's retries are for calls that may be repeated; of these nobody knows.
        retryDelay: () => null,
        rewriteRequestHeaders: (_, headers) => requestHeaders(exchange, headers, options.trustedHops ?? 0),
        rewriteHeaders: (headers) => responseHeaders(exchange, headers),
        onError: (_, { error }) => refuse(explain(error)),
      });
    } catch {
      refuse(httpError(400, Code.InvalidArgument, "path: expected one that can be passed on"));
      return undefined;
    }
  }

  return {
    takesUnknown: (path) => isUnder(prefixes, path),
    takesKnown(exchange) {
      if (percent <= 0 || !isUnder(prefixes, exchange.path)) return false;
      const { place, isNew } = placeOf(exchange.request.headers, exchange.client.address);
      if (isNew) exchange.headers["set-cookie"] = `${sideCookie}=${place}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax`;
      return place < percent;
    },
    answer(exchange) {
      const { request, response } = exchange;
      return new Promise((resolve, reject) => {
        passing.set(request, { exchange, fail: reject });
        response.once("close", resolve);
        inviteBody(request);
        app.routing(request, response);
      });
    },
    async [Symbol.asyncDispose]() {
      await app.close();
    },
  };
}

/** RFC 9110, section 7.6.1, and what the mesh sets itself. */
const hopByHop = new Set([
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"],
  ...["transfer-encoding", "upgrade", "http2-settings", "expect"],
]);

function requestHeaders(exchange: Exchange, sent: IncomingHttpHeaders, trustedHops: number): IncomingHttpHeaders {
  const { request, correlationId, trace } = exchange;
  const headers: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(sent)) {
    const own =
      name.startsWith(":") ||
      hopByHop.has(name) ||
      name.startsWith("x-heddle-") ||
      name.startsWith("x-forwarded-") ||
      name === "forwarded";
    if (!own && value !== undefined) headers[name] = value;
  }
  if (request.method === "GET" || request.method === "HEAD") delete headers["content-length"];
  const peer = (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
  const before = trustedHops > 0 ? trusted(request.headers["x-forwarded-for"], trustedHops) : [];
  headers["x-forwarded-for"] = [...before, peer].join(", ");
  headers["x-forwarded-proto"] = forwarded(request.headers["x-forwarded-proto"], trustedHops) ?? "http";
  headers["x-forwarded-host"] = forwarded(request.headers["x-forwarded-host"], trustedHops) ?? request.headers.host ?? "";
  headers["x-correlation-id"] = correlationId;
  headers.traceparent = `00-${trace.traceId}-${trace.spanId}-${trace.flags.toString(16).padStart(2, "0")}`;
  return headers;
}

/** The entries that the trusted proxies wrote; those further left could be anybody's invention. */
function trusted(value: string | string[] | undefined, hops: number): string[] {
  const entries = String(value ?? "")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  return entries.slice(-hops);
}

function forwarded(value: string | string[] | undefined, hops: number): string | undefined {
  const text = String(value ?? "");
  return hops > 0 && /^[\w.:[\]-]{1,255}$/.test(text) ? text : undefined;
}

function responseHeaders(exchange: Exchange, received: IncomingHttpHeaders): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(received)) {
    if (!hopByHop.has(name) && !name.startsWith("x-heddle-") && value !== undefined) headers[name] = value;
  }
  const { "set-cookie": cookie, vary, ...own } = exchange.headers;
  if (cookie !== undefined) headers["set-cookie"] = [...(received["set-cookie"] ?? []), cookie];
  if (vary !== undefined) headers.vary = headers.vary === undefined ? vary : `${headers.vary}, ${vary}`;
  return { ...headers, ...own };
}

/** Its failures by what they mean to the client: too slow, or not there. */
function explain(error: Error): ConnectError {
  const cause = error.cause as { code?: string } | undefined;
  const slow = cause?.code === "UND_ERR_HEADERS_TIMEOUT" || cause?.code === "UND_ERR_CONNECT_TIMEOUT";
  const answer = slow
    ? httpError(504, Code.DeadlineExceeded, "the monolith did not answer in time")
    : httpError(502, Code.Unavailable, "the monolith cannot be reached");
  answer.cause = error;
  return answer;
}
