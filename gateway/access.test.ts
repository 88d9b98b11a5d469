import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { AuthService, GetMeResponseSchema, LoginResponseSchema } from "#gen/auth/v1/auth_pb.ts";
import { currentContext, type Principal } from "#mesh/context.ts";
import { notFound, unauthenticated } from "#mesh/errors.ts";
import { loadContracts } from "./contracts.ts";
import { checkOperator } from "./endpoints.ts";
import { meshOver, outcome, startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import type { GatewayOptions } from "./gateway-options.ts";

describe("gateway: access, keys, limits, own endpoints", () => {
  const contracts = loadContracts(readFileSync(new URL("../gen/contracts.binpb", import.meta.url)));
  const user = (token: string): Principal => ({
    kind: "user",
    id: token,
    roles: token === "admin" ? ["admin"] : [],
    scopes: [],
    sessionId: "s",
    token,
    expiresAt: Number.MAX_SAFE_INTEGER,
    degraded: false,
  });
  const transport = () =>
    createRouterTransport((router) => {
      router.service(AuthService, {
        login: () => create(LoginResponseSchema, { accessToken: currentContext()?.principal?.id ?? "nobody" }),
        getMe: () => create(GetMeResponseSchema, { user: { id: currentContext()?.principal?.id ?? "nobody" } }),
        listAuditLog: () => ({}),
      });
    });
  const platform: Partial<GatewayOptions> & { transport: typeof transport } = {
    transport,
    contracts,
    openByDefault: false,
    staticApiKeys: ["ci:sesame"],
    cors: { origins: ["https://a.example"] },
    verifier: {
      async verify(token) {
        if (token === "bad") throw unauthenticated("TOKEN_EXPIRED", "expired");
        return user(token);
      },
    },
    async exchangeApiKey(key) {
      if (key !== "hk") throw notFound("key", "");
      return "key-owner";
    },
  };
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway(platform);
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });

  const login = { body: '{"email":"a","password":"b"}' };

  it("lets anybody call a public method, with a bad token as with none", async () => {
    assert.equal((await gateway.send("POST /api/v1/auth/login", login)).text, '{"access_token":"nobody"}');
    const headers = { authorization: "Bearer bad" };
    assert.equal((await gateway.send("POST /auth/login", { ...login, headers })).text, '{"access_token":"nobody"}');
  });

  it("wants a good token elsewhere, and passes its principal on", async () => {
    const none = await gateway.send("GET /api/v1/auth/me");
    assert.deepEqual(
      [outcome(none), none.headers["www-authenticate"]],
      ["401 sign in to call this method", 'Bearer realm="heddle"'],
    );
    const bad = await gateway.send("GET /api/v1/auth/me", { headers: { authorization: "Bearer bad" } });
    assert.deepEqual(
      [outcome(bad), bad.headers["www-authenticate"]],
      ["401 expired", 'Bearer realm="heddle", error="invalid_token"'],
    );
    assert.equal((await gateway.send("GET /api/v1/auth/me", { headers: { authorization: "Bearer ada" } })).text, '{"id":"ada"}');
  });

  it("lets no cache keep an answer that can hold a secret (RFC 6749, 5.1)", async () => {
    const signedIn = await gateway.send("POST /api/v1/auth/login", login);
    assert.equal(signedIn.headers["cache-control"], "no-store");
    const me = await gateway.send("GET /api/v1/auth/me", { headers: { authorization: "Bearer ada" } });
    assert.equal(me.headers["cache-control"], undefined);
  });

  it("exchanges an API key, and passes its owner on", async () => {
    assert.equal((await gateway.send("GET /api/v1/auth/me", { headers: { "x-api-key": "hk" } })).text, '{"id":"key-owner"}');
    assert.equal(
      outcome(await gateway.send("GET /api/v1/auth/me", { headers: { "x-api-key": "no" } })),
      "401 x-api-key: no such key, or it has ended",
    );
  });

  it("holds to roles", async () => {
    const as = async (token: string) =>
      (await gateway.send("GET /api/v1/auth/audit-log", { headers: { authorization: `Bearer ${token}` } })).status;
    assert.deepEqual([await as("ada"), await as("admin")], [403, 200]);
  });

  it("passes one of its own keys on as nobody", async () => {
    assert.equal((await gateway.send("GET /api/v1/auth/me", { headers: { "x-api-key": "sesame" } })).text, '{"id":"nobody"}');
  });

  it("knows no method that only services may call", async () => {
    assert.equal((await gateway.send("POST /auth.v1.AuthService/ExchangeApiKey", { body: "{}" })).status, 404);
  });

  it("answers a browser's preflight", async () => {
    const headers = { origin: "https://a.example", "access-control-request-method": "PATCH" };
    const reply = await gateway.send("OPTIONS /api/v1/auth/me", { headers });
    assert.equal(reply.status, 204);
    assert.equal(reply.headers["access-control-allow-methods"], "GET, HEAD, OPTIONS, PATCH, PUT");
    assert.equal(reply.headers["access-control-allow-origin"], "https://a.example");
    const error = await gateway.send("GET /api/v1/auth/me", { headers });
    assert.deepEqual([error.status, error.headers["access-control-allow-origin"]], [401, "https://a.example"]);
  });

  it("answers 429 with Retry-After and RateLimit above the rate, and limits refusals by address too", async () => {
    await using limited = await startTestGateway({ ...platform, rateLimit: { perSecond: 1, burst: 2 }, clock: () => 0 });
    const statuses = async (headers: Record<string, string>) => {
      const replies = [];
      for (let turn = 0; turn < 3; turn++) replies.push(await limited.send("GET /api/v1/auth/me", { headers }));
      return replies.map(({ status, headers }) => [status, headers.ratelimit, headers["retry-after"]]);
    };
    assert.deepEqual(await statuses({ authorization: "Bearer ada" }), [
      [200, '"default";r=1;t=1', undefined],
      [200, '"default";r=0;t=2', undefined],
      [429, '"default";r=0;t=2', "1"],
    ]);
    assert.deepEqual(
      (await statuses({ authorization: "Bearer bad" })).map(([status]) => status),
      [401, 401, 429],
    );
  });

  it("answers 503 with Retry-After when all places are taken", async () => {
    await using full = await startTestGateway({ maxConcurrent: 0 });
    const reply = await full.send("GET /v1/echo");
    assert.deepEqual([reply.status, reply.headers["retry-after"]], [503, "1"]);
  });

  it("takes an administrator's API key for an operator's when it is unlimited or has the scope, and not otherwise", () => {
    const key = (...scopes: string[]) => ({ principal: { ...user("admin"), kind: "api-key", scopes } as const, own: false });
    for (const scopes of [[], ["*"], ["gateway:operate"], ["gateway:*"]]) checkOperator(key(...scopes));
    for (const scopes of [["notifications:send"], ["gateway:read"]]) {
      assert.throws(() => checkOperator(key(...scopes)), /needs an API key with the scope "gateway:operate"/);
    }
  });

  it("answers /health and /registry to anybody, and resets breakers for operators only", async () => {
    const reset: string[] = [];
    const mesh = meshOver(transport(), {
      resetBreaker(service) {
        reset.push(service);
        return service === "auth";
      },
    });
    await using own = await startTestGateway({ ...platform, mesh });
    const { contracts, ...health } = (await own.send("GET /health")).json as { contracts: { source: string } };
    assert.deepEqual(health, { status: "UP", services: {}, missing_contracts: [], circuit_breakers: [] });
    assert.equal(contracts.source, "image");
    assert.deepEqual((await own.send("GET /registry")).json, { services: [] });
    const post = async (service: string, headers: Record<string, string>) =>
      outcome(await own.send(`POST /circuit-breaker/reset/${service}`, { headers }));
    assert.equal(await post("auth", {}), "401 sign in as an administrator, or send an API key of the gateway");
    assert.equal(await post("auth", { authorization: "Bearer ada" }), '403 this endpoint needs the role "admin"');
    assert.equal(await post("auth", { authorization: "Bearer bad" }), "401 expired");
    assert.deepEqual(reset, []);
    assert.equal(await post("auth", { authorization: "Bearer admin" }), "200 ");
    assert.equal(await post("auth", { "x-api-key": "sesame" }), "200 ");
    assert.equal(await post("nope", { "x-api-key": "sesame" }), '404 the circuit breaker of "nope" does not exist');
    assert.equal((await own.send("GET /circuit-breaker/reset/auth")).status, 405);
  });
});
