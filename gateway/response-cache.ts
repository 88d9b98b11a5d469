/**
 * Answers kept in memory, for methods whose contract says heddle.v1.cache: each for the principal that asked, or for everybody
 * where it says so. Concurrent requests for the same thing make one call, and an answer that went stale can stand in for a
 * failure. What happened is told by Cache-Status (RFC 9211), Age and Cache-Control (RFC 9111).
 */
import { createHash } from "node:crypto";
import type { Message } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Meter } from "@opentelemetry/api";
import { LRUCache } from "lru-cache";
import { from } from "#mesh/errors.ts";
import { type CacheRule, cacheRuleOf } from "./cache-rule.ts";
import type { Exchange } from "./exchange.ts";
import type { Answer } from "./forward.ts";
import { httpCodeHeader, requestMetadata } from "./metadata.ts";
import type { Route } from "./routes.ts";
import { httpStatusOf } from "./status.ts";
import { varyBy } from "./vary.ts";

/** One request for an answer. */
export interface CacheRequest {
  readonly exchange: Exchange;
  readonly route: Route;
  readonly message: Message;
  /** Who asks: answers are never shown to another owner, unless the rule says that they are everybody's. */
  readonly owner: string;
  /** Aborts when this request ends; the answer to others goes on. */
  readonly signal: AbortSignal;
  /** Makes the call. */
  fetch(): Promise<Answer>;
}

/** Keeps answers. */
export interface ResponseCache {
  /** The answer, kept or fetched. Sets the headers that say which. */
  answer(request: CacheRequest): Promise<Answer>;
  /** What became of the requests for methods that have a rule, since the start. */
  counts(): {
    readonly hits: number;
    readonly misses: number;
    readonly stale: number;
    readonly entries: number;
    readonly bytes: number;
  };
}

type Unary = Answer & { kind: "unary" };

interface Entry {
  readonly answer: Unary;
  readonly tag: string;
  /** When the call was made, so that Age is never too young. */
  readonly at: number;
}

/** A cache. `maxBytes`: of all answers as they were on the wire, the least recently used leave first; default 64 MiB. */
export function createResponseCache({ meter, clock = Date.now, maxBytes = 64 * 2 ** 20 }: CacheOptions): ResponseCache {
  const entries = new LRUCache<string, Entry>({ maxSize: maxBytes });
  const pending = new Map<string, Promise<Entry>>();
  const counter = meter.createCounter("heddle.gateway.cache.requests", { description: "Requests for methods that may be kept" });
  const counts = { hits: 0, misses: 0, stale: 0 };

  function count(result: keyof typeof counts, request: CacheRequest): void {
    counts[result]++;
    counter.add(1, { result, "http.route": request.exchange.route });
  }

  /** The call that is under way for the same thing, or a new one. */
  function fetchOnce(key: string, request: CacheRequest, rule: CacheRule): Promise<Entry> {
    const started = fetchEntry(key, request, rule).finally(() => pending.delete(key));
    pending.set(key, started);
    return started;
  }

  async function fetchEntry(key: string, { route, fetch }: CacheRequest, rule: CacheRule): Promise<Entry> {
    const at = clock();
    const answer = (await fetch()) as Unary;
    const bytes = toBinary(route.method.output, answer.message);
    const tag = `W/"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
    const entry = { answer, tag, at };
    const code = answer.header.get(httpCodeHeader) ?? answer.trailer.get(httpCodeHeader) ?? "200";
    if (code === "200") entries.set(key, entry, { size: bytes.length + bytesOfEntry, ttl: rule.ttlMs + rule.staleMs });
    return entry;
  }

  return {
    async answer(request) {
      const { exchange, route, signal } = request;
      const rule = cacheRuleOf(route.method);
      if (rule === undefined || (exchange.httpMethod !== "GET" && exchange.httpMethod !== "HEAD")) return request.fetch();
      const key = keyOf(request, rule);
      const known = entries.get(key);
      const now = clock();
      const freshMs = known === undefined ? 0 : known.at + rule.ttlMs - now;
      if (known !== undefined && freshMs > 0 && !wantsFresh(exchange)) {
        count("hits", request);
        return shown(exchange, known, rule, now, `hit; ttl=${Math.ceil(freshMs / 1000)}`);
      }
      try {
        for (;;) {
          const other = pending.get(key);
          if (other === undefined) {
            const entry = await fetchOnce(key, request, rule);
            count("misses", request);
            return shown(exchange, entry, rule, clock(), known === undefined ? "fwd=uri-miss; stored" : "fwd=stale; stored");
          }
          const entry = await joined(other, signal);
          if (entry === undefined) continue;
          count("hits", request);
          return shown(exchange, entry, rule, clock(), "fwd=uri-miss; collapsed");
        }
      } catch (error) {
        const status = httpStatusOf(from(error));
        if (known === undefined || signal.aborted || status < 500 || clock() > known.at + rule.ttlMs + rule.staleMs) throw error;
        count("stale", request);
        return shown(exchange, known, rule, clock(), `fwd=stale; fwd-status=${status}; detail=stale-if-error`);
      }
    },
    counts: () => ({ ...counts, entries: entries.size, bytes: entries.calculatedSize }),
  };
}

/** What a cache is made with. */
export interface CacheOptions {
  readonly meter: Meter;
  readonly clock?: () => number;
  readonly maxBytes?: number;
}

/** What an entry takes beside its bytes: the message as objects, the key, the maps. */
const bytesOfEntry = 1024;

/** Another request's entry; undefined when that request ended before its call did, so that it says nothing of this one. */
async function joined(other: Promise<Entry>, signal: AbortSignal): Promise<Entry | undefined> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([other, ended]);
  } catch (error) {
    const { code } = from(error);
    if (signal.aborted || (code !== Code.Canceled && code !== Code.DeadlineExceeded)) throw error;
    return undefined;
  } finally {
    signal.removeEventListener("abort", onAbort);
    ended.catch(() => {});
  }
}

/** All that an answer can depend on: the method, the message, the metadata that passes, and who asks. */
function keyOf({ exchange, route, message, owner }: CacheRequest, rule: CacheRule): string {
  const metadata = [...requestMetadata(exchange.request.headers, false)].sort();
  return createHash("sha256")
    .update(JSON.stringify([exchange.rpc, rule.shared ? "" : owner, metadata]))
    .update(toBinary(route.method.input, message))
    .digest("base64");
}

function wantsFresh({ request }: Exchange): boolean {
  return /\bno-cache\b|\bmax-age=0\b/i.test(request.headers["cache-control"] ?? "");
}

function shown(exchange: Exchange, { answer, tag, at }: Entry, rule: CacheRule, now: number, status: string): Unary {
  const { headers } = exchange;
  const stale = rule.staleMs > 0 ? `, stale-if-error=${Math.floor(rule.staleMs / 1000)}` : "";
  const vary = rule.shared ? "Accept" : "Accept, Authorization, X-API-Key";
  headers.etag = tag;
  headers.age = String(Math.max(0, Math.floor((now - at) / 1000)));
  headers["cache-control"] = `${rule.shared ? "public" : "private"}, max-age=${Math.floor(rule.ttlMs / 1000)}${stale}`;
  headers["cache-status"] = `heddle; ${status}`;
  varyBy(headers, vary);
  return answer;
}
