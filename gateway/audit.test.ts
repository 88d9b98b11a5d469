import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRouterTransport } from "@connectrpc/connect";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import type { Origin, Principal } from "#mesh/context.ts";
import { noted, permissionDenied, unauthenticated } from "#mesh/errors.ts";
import type { Refusal } from "#mesh/identity/refusal.ts";
import { loadContracts } from "./contracts.ts";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";

const ann = "0190a5a0-0000-7000-8000-00000000000a";
const session = "0190a5a0-0000-7000-8000-00000000000b";
const user: Principal = {
  kind: "user",
  id: ann,
  roles: [],
  scopes: [],
  sessionId: session,
  token: "good",
  expiresAt: Number.MAX_SAFE_INTEGER,
  degraded: false,
};

async function verify(token: string): Promise<Principal> {
  if (token === "revoked") throw noted(unauthenticated("TOKEN_REVOKED", "no"), { userId: ann, sessionId: session });
  if (token === "expired") throw unauthenticated("TOKEN_EXPIRED", "no");
  if (token !== "good") throw unauthenticated("TOKEN_INVALID", "no");
  return user;
}

describe("what the gateway reports to the audit log", () => {
  const reports: [Refusal, Origin][] = [];
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway({
      contracts: loadContracts(readFileSync(new URL("../gen/contracts.binpb", import.meta.url))),
      transport: () =>
        createRouterTransport((router) => {
          router.service(AuthService, {
            getMe() {
              throw permissionDenied("ROLE_REQUIRED", "by the service");
            },
          });
        }),
      openByDefault: false,
      verifier: { verify },
      async exchangeApiKey() {
        throw unauthenticated("API_KEY_INVALID", "no such key");
      },
      refusals: { report: (refusal, origin) => void reports.push([refusal, origin]) },
    });
  });
  afterEach(() => void reports.splice(0));
  after(() => gateway[Symbol.asyncDispose]());

  const nobody = { userId: "", sessionId: "" };
  const known = { userId: ann, sessionId: session };
  const rows: readonly [target: string, headers: Record<string, string>, status: number, expected: readonly Refusal[]][] = [
    [
      "GET /api/v1/auth/me",
      { authorization: "Bearer forged" },
      401,
      [{ action: "token.refused", reason: "TOKEN_INVALID: auth.v1.AuthService/GetMe", ...nobody }],
    ],
    [
      "GET /api/v1/auth/me",
      { authorization: "Bearer revoked" },
      401,
      [{ action: "token.refused", reason: "TOKEN_REVOKED: auth.v1.AuthService/GetMe", ...known }],
    ],
    [
      "GET /api/v1/auth/audit-log",
      { authorization: "Bearer good" },
      403,
      [{ action: "access.denied", reason: "ROLE_REQUIRED: auth.v1.AuthService/ListAuditLog", ...known }],
    ],
    [
      "POST /circuit-breaker/reset/auth",
      { authorization: "Bearer good" },
      403,
      [{ action: "access.denied", reason: "ROLE_REQUIRED: /circuit-breaker/reset/{service}", ...known }],
    ],
    ["GET /api/v1/auth/me", {}, 401, []],
    ["GET /api/v1/auth/me", { authorization: "Bearer expired" }, 401, []],
    ["GET /api/v1/auth/me", { "x-api-key": "wrong" }, 401, []],
    ["GET /api/v1/auth/me", { authorization: "Bearer good" }, 403, []],
    ["GET /no/such/path", { authorization: "Bearer forged" }, 404, []],
  ];
  for (const [target, headers, status, expected] of rows) {
    it(`${target} with ${JSON.stringify(headers)} is ${status}: ${expected.map(({ reason }) => reason).join() || "nothing"}`, async () => {
      const reply = await gateway.send(target, { headers: { ...headers, "x-correlation-id": "c-1" } });
      assert.equal(reply.status, status);
      assert.deepEqual(
        reports.map(([refusal]) => refusal),
        expected,
      );
      const origins = reports.map(([, { client, correlationId }]) => [client.address, correlationId]);
      assert.deepEqual(
        origins,
        expected.map(() => ["127.0.0.1", "c-1"]),
      );
    });
  }
});
