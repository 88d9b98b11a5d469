/** The contract's methods: a request to a question, its answer from the cache or the ledger, and back. */
import { createHash } from "node:crypto";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnalyticsService, type QueryRequest, type QueryResponse, QueryResponseSchema } from "#gen/analytics/v1/analytics_pb.ts";
import type { Charts } from "#mesh/chart/charts.ts";
import { type CallContext, currentContext, runWithContext } from "#mesh/context.ts";
import { internal } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import type { AnswerCache } from "./answer-cache.ts";
import { chartOf } from "./chart-of.ts";
import type { LedgerReader } from "./ledger-reader.ts";
import { askedOf, toResponse } from "./messages.ts";
import { ownerOf } from "./ownership.ts";
import { answer, keyOf, questionOf } from "./query.ts";

/** What the handlers work with. */
export interface HandlerParts {
  readonly ledger: LedgerReader;
  readonly cache: AnswerCache;
  readonly charts: Charts;
  /** For how long the cache keeps an answer. */
  readonly ttlMs: number;
  readonly clock: () => number;
}

/** How long an answer may be computed, in milliseconds, whoever waits for it: as long as the service config lets one wait. */
const computeMs = 20_000;

/** The contract and its methods. */
export function analyticsHandlers({ ledger, cache, charts, ttlMs, clock }: HandlerParts): Implementation {
  async function query(request: QueryRequest): Promise<QueryResponse> {
    const context = currentContext();
    if (context === undefined) throw internal(new Error("a call without a context"));
    const question = questionOf(ownerOf(context, request.userId), askedOf(request), clock());
    const { value, cached } = await cache.get({
      key: `heddle:analytics:1:${createHash("sha256").update(keyOf(question)).digest("hex")}`,
      fresh: request.fresh,
      signal: context.signal,
      compute: (signal) =>
        runWithContext(ownContext(context, signal, clock()), async () =>
          toBinary(QueryResponseSchema, toResponse(await answer(ledger, question, signal, clock()), ttlMs)),
        ),
    });
    const response = fromBinary(QueryResponseSchema, value);
    response.cached = cached;
    return response;
  }

  return implement(AnalyticsService, {
    query,
    async drawQuery(request) {
      const response = await query(request);
      const chart = chartOf(response, { width: request.width || undefined, height: request.height || undefined });
      const svg = await charts.render(chart, currentContext()?.signal);
      return { contentType: "image/svg+xml", data: Buffer.from(svg) };
    },
  });
}

/**
 * The context in which an answer is computed: in this service's own name, since whoever asks the same meanwhile waits for the same
 * answer, and each of them was let in here. The ledger lets services see any user's transactions.
 */
function ownContext(context: CallContext, signal: AbortSignal, now: number): CallContext {
  return { ...context, deadline: now + computeMs, signal, principal: undefined, caller: undefined };
}
