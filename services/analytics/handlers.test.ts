import assert from "node:assert/strict";
import { type Client, Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { metrics } from "@opentelemetry/api";
import { AnalyticsService } from "#gen/analytics/v1/analytics_pb.ts";
import { type Charts, openCharts } from "#mesh/chart/charts.ts";
import { type CallContext, currentContext, type Principal, runWithContext } from "#mesh/context.ts";
import { unavailable } from "#mesh/errors.ts";
import { validateRequests } from "#mesh/server/layers.ts";
import { factsOf, type TestPosting } from "./analytics.fixture.ts";
import { answerCache } from "./answer-cache.ts";
import { analyticsHandlers } from "./handlers.ts";
import type { LedgerReader } from "./ledger-reader.ts";
import type { Who } from "./ownership.ts";

const ann = "0190a0b0-0000-7000-8000-00000000000a";
const bob = "0190a0b0-0000-7000-8000-00000000000b";
const gateway = { ...person("gateway"), kind: "service" } as const;
const asAnn: Who = { principal: person(ann), caller: gateway };
const asAdmin: Who = { principal: person("0190a0b0-0000-7000-8000-0000000000ad", "admin"), caller: gateway };
const asService: Who = { principal: undefined, caller: { ...gateway, id: "payment" } };
const asServiceForAnn: Who = { principal: person(ann), caller: { ...gateway, id: "payment" } };
const asGateway: Who = { principal: undefined, caller: gateway };

const postings: readonly TestPosting[] = [
  { at: "2026-03-01", amount: 10_000n },
  { at: "2026-03-02", amount: -2500n, category: "food" },
  { at: "2026-03-02", amount: -7n, currency: "JPY", category: "food" },
];

describe("analytics handlers", () => {
  const asked: { userId: string; principal: string | undefined }[] = [];
  let failure: ConnectError | undefined;
  let charts: Charts;
  const now = Date.parse("2026-07-10T12:00:00Z");
  let handlers: ReturnType<typeof analyticsHandlers>;
  before(() => {
    charts = openCharts();
    const ledger: LedgerReader = {
      async facts(userId, period, { currency }) {
        asked.push({ userId, principal: currentContext()?.principal?.id });
        if (failure !== undefined) throw failure;
        return factsOf(
          period,
          postings.filter((one) => currency === "" || (one.currency ?? "EUR") === currency),
        );
      },
      balances: async () => new Map([["EUR", 7500n]]),
    };
    const cache = answerCache({
      ttlMs: 60_000,
      maxBytes: 2 ** 20,
      concurrency: 2,
      shared: undefined,
      meter: metrics.getMeter("test"),
    });
    handlers = analyticsHandlers({ ledger, cache, charts, ttlMs: 60_000, clock: () => now });
  });
  beforeEach(() => {
    asked.length = 0;
    failure = undefined;
  });
  after(() => charts[Symbol.asyncDispose]());

  const client = (who: Who) => clientOf(handlers, who);
  const march = { metric: "cash_flow", period: "2026-03" };

  it("answers with the metric, once from the ledger and then from memory, and says so", async () => {
    const first = await client(asAnn).query({ ...march, compareTo: "previous_period" });
    const again = await client(asAnn).query({ ...march, compareTo: "previous_period" });
    assert.deepEqual([first.cached, again.cached, asked.length], [false, true, 2]);
    assert.deepEqual({ ...again, cached: false }, first);
    assert.deepEqual([first.userId, first.metric, first.transactionCount], [ann, "cash_flow", 3n]);
    assert.deepEqual(
      first.cashFlow.map(({ currency, income, expense, net }) => [currency, income, expense, net]),
      [
        ["EUR", 10_000n, 2500n, 7500n],
        ["JPY", 0n, 7n, -7n],
      ],
    );
    assert.deepEqual(
      [first.period?.granularity, first.period?.timeZone, first.comparedPeriod?.toTime],
      ["day", "UTC", first.period?.fromTime],
    );
    assert.equal((first.expireTime?.seconds ?? 0n) - (first.computeTime?.seconds ?? 0n), 60n);
  });

  it("asks the ledger in its own name, since several people may wait for one answer", async () => {
    await client(asAdmin).query({ ...march, userId: ann.toUpperCase(), fresh: true });
    assert.deepEqual(asked, [{ userId: ann, principal: undefined }]);
  });

  const strangers: readonly [name: string, who: Who, userId: string, code: Code | undefined][] = [
    ["a person for nobody named", asAnn, "", undefined],
    ["a person for another", asAnn, bob, Code.PermissionDenied],
    ["a service in a person's name for another", asServiceForAnn, bob, Code.PermissionDenied],
    ["an administrator for another", asAdmin, bob, undefined],
    ["a service in nobody's name for somebody", asService, bob, undefined],
    ["a service in nobody's name for nobody", asService, "", Code.InvalidArgument],
    ["the gateway in nobody's name", asGateway, bob, Code.PermissionDenied],
  ];
  for (const method of ["query", "drawQuery"] as const) {
    for (const [name, who, userId, code] of strangers) {
      it(`${method}: ${code === undefined ? "answers" : `${Code[code]} for`} ${name}, kept or not`, async () => {
        await client(asAdmin).query({ ...march, userId: bob });
        const outcome = await client(who)
          [method]({ ...march, userId })
          .then(
            () => undefined,
            (error: ConnectError) => error.code,
          );
        assert.equal(outcome, code);
      });
    }
  }

  for (const metric of ["cash_flow", "spending_trends", "health_score", "anomalies"]) {
    it(`draws ${metric} as SVG that says it in words, too, and in the size that was asked for`, async () => {
      const { contentType, data } = await client(asAnn).drawQuery({ metric, period: "2026-03", width: 640, height: 300 });
      const svg = Buffer.from(data).toString();
      assert.equal(contentType, "image/svg+xml");
      assert.match(svg, /^<svg role="img" [^>]*width="640" height="300"/);
      assert.match(svg, /<title [^>]*>[^<]*EUR[^<]*2026-03-01 to 2026-03-31[^<]*<\/title>\n<desc [^>]*>[^<]+<\/desc>/);
    });
  }

  it("shows money in major units", async () => {
    const { data } = await client(asAnn).drawQuery(march);
    assert.match(Buffer.from(data).toString(), /Income EUR\s100\.00, expense EUR\s25\.00, net EUR\s75\.00\./);
    const yen = await client(asAnn).drawQuery({ ...march, currency: "JPY" });
    assert.match(Buffer.from(yen.data).toString(), /expense JPY\s7, net -JPY\s7\./);
  });

  it("draws an empty chart where there is nothing", async () => {
    const { data } = await client(asAnn).drawQuery({ ...march, currency: "CHF" });
    assert.match(Buffer.from(data).toString(), /no transactions/);
  });

  it("passes on that the ledger is away, and keeps no such answer", async () => {
    failure = unavailable("the ledger is away", 1000);
    const january = { ...march, period: "2025-01" };
    await assert.rejects(client(asAnn).query(january), { code: Code.Unavailable });
    failure = undefined;
    assert.equal((await client(asAnn).query(january)).cached, false);
  });

  const refused: readonly [field: string, request: object][] = [
    ["metric", { metric: "" }],
    ["metric", { metric: "CASH_FLOW" }],
    ["period", { period: "March" }],
    ["time_zone", { timeZone: "Mars/Base" }],
    ["granularity", { granularity: "hour" }],
    ["compare_to", { compareTo: "x" }],
    ["currency", { currency: "eur" }],
    ["threshold", { threshold: Number.NaN }],
    ["width", { width: 10 }],
  ];
  for (const [field, request] of refused) {
    it(`refuses ${JSON.stringify(request)} as INVALID_ARGUMENT of ${field}`, async () => {
      await assert.rejects(client(asAnn).query({ ...march, ...request }), (error) => {
        assert.ok(error instanceof ConnectError && error.code === Code.InvalidArgument);
        assert.ok(error.message.includes(field), error.message);
        return true;
      });
    });
  }
});

const validate = validateRequests([AnalyticsService]);

function clientOf(handlers: ReturnType<typeof analyticsHandlers>, who: Who): Client<typeof AnalyticsService> {
  const within: Interceptor = (next) => (request) => runWithContext(contextOf(who, request.signal), () => next(request));
  const routes = createRouterTransport(({ service }) => void service(handlers.service, handlers.methods), {
    router: { interceptors: [validate, within] },
  });
  return createClient(AnalyticsService, routes);
}

function contextOf({ principal, caller }: Who, signal: AbortSignal): CallContext {
  const trace = { traceId: "0".repeat(32), spanId: "0".repeat(16), flags: 0, state: "" };
  const client = { address: "", userAgent: "" };
  const deadline = Number.POSITIVE_INFINITY;
  return { deadline, signal, principal, caller, trace, correlationId: "test", criticality: "CRITICAL", client };
}

function person(id: string, ...roles: string[]): Principal {
  const never = Number.MAX_SAFE_INTEGER;
  return { kind: "user", id, roles, scopes: [], sessionId: "s", token: "t", expiresAt: never, degraded: false };
}
