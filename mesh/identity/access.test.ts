import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { AccessLevel, type AccessRule, AccessRuleSchema } from "#gen/heddle/v1/access_pb.ts";
import type { Principal } from "../context.ts";
import { reasonOf } from "../errors.ts";
import { accessRuleOf, type Caller, checkAccess, scopeGrants } from "./access.ts";

function principal(kind: Principal["kind"], id: string, roles: string[] = [], scopes: string[] = []): Principal {
  return { kind, id, roles, scopes, sessionId: "s", token: "t", expiresAt: 0, degraded: false };
}

const ada = principal("user", "ada");
const admin = principal("user", "root", ["admin"]);
const key = (...scopes: string[]) => principal("api-key", "ada", [], scopes);
const ledger = principal("service", "ledger");
const gateway = principal("service", "gateway");

const callers: Readonly<Record<string, Caller>> = {
  nobody: { principal: undefined, caller: undefined },
  user: { principal: ada, caller: undefined },
  admin: { principal: admin, caller: undefined },
  "key without scopes": { principal: key(), caller: undefined },
  "key x:send": { principal: key("x:send"), caller: undefined },
  "key x:read": { principal: key("x:read"), caller: undefined },
  "key x:*": { principal: key("x:*"), caller: undefined },
  "key *": { principal: key("*"), caller: undefined },
  "admin's key *": { principal: principal("api-key", "root", ["admin"], ["*"]), caller: undefined },
  service: { principal: undefined, caller: ledger },
  "service for a user": { principal: ada, caller: ledger },
  "service for an admin": { principal: admin, caller: ledger },
  "gateway for nobody": { principal: undefined, caller: gateway },
  "gateway for a user": { principal: ada, caller: gateway },
  "gateway for key x:read": { principal: key("x:read"), caller: gateway },
};

type Rule = Partial<Pick<AccessRule, "level" | "role" | "scope" | "sessionOnly">>;

const rules: Readonly<Record<string, Rule | undefined>> = {
  none: undefined,
  unspecified: { level: AccessLevel.UNSPECIFIED },
  "level 99": { level: 99 as AccessRule["level"] },
  public: { level: AccessLevel.PUBLIC },
  authenticated: { level: AccessLevel.AUTHENTICATED },
  "x:send": { level: AccessLevel.AUTHENTICATED, scope: "x:send" },
  "session only": { level: AccessLevel.AUTHENTICATED, sessionOnly: true },
  "role admin": { level: AccessLevel.ROLE, role: "admin" },
  "role ''": { level: AccessLevel.ROLE },
  service: { level: AccessLevel.SERVICE },
};

const shut = "7 NO_ACCESS_RULE";
const signIn = "16 SIGN_IN_REQUIRED";
const role = "7 ROLE_REQUIRED";
const scope = "7 SCOPE_REQUIRED";
const session = "7 SESSION_REQUIRED";
const only = "7 SERVICE_ONLY";

/** Rule -> outcome for each caller, in the order above. */
const table: Readonly<Record<string, readonly string[]>> = {
  none: Array.from({ length: 15 }, () => shut),
  unspecified: Array.from({ length: 15 }, () => shut),
  "level 99": Array.from({ length: 15 }, () => shut),
  public: Array.from({ length: 15 }, () => "in"),
  authenticated: [signIn, "in", "in", "in", "in", "in", "in", "in", "in", "in", "in", "in", signIn, "in", "in"],
  "x:send": [signIn, "in", "in", "in", "in", scope, "in", "in", "in", "in", "in", "in", signIn, "in", scope],
  "session only": [
    ...[signIn, "in", "in", session, session, session, session, session, session],
    ...[signIn, "in", "in", signIn, "in", session],
  ],
  "role admin": [signIn, role, "in", role, role, role, role, role, "in", "in", role, "in", signIn, role, role],
  "role ''": [signIn, role, role, role, role, role, role, role, role, "in", role, role, signIn, role, role],
  service: ["16 CALLER_REQUIRED", only, only, only, only, only, only, only, only, "in", "in", "in", "in", "in", "in"],
};

function outcome(rule: Rule | undefined, who: Caller): string {
  try {
    checkAccess(rule === undefined ? undefined : create(AccessRuleSchema, rule), who);
    return "in";
  } catch (error) {
    assert(error instanceof ConnectError);
    return `${error.code} ${reasonOf(error)}`;
  }
}

describe("checkAccess", () => {
  for (const [name, expected] of Object.entries(table)) {
    it(`rule ${name}: every kind of caller`, () => {
      const got = Object.entries(callers).map(([who, caller]) => [who, outcome(rules[name], caller)]);
      assert.deepEqual(
        got,
        Object.keys(callers).map((who, index) => [who, expected[index]]),
      );
    });
  }

  it("has a row for every rule and every level of the contract", () => {
    assert.deepEqual(Object.keys(table), Object.keys(rules));
    const levels = new Set(Object.values(rules).map((rule) => rule?.level));
    assert.deepEqual(
      Object.values(AccessLevel).filter((level) => !levels.has(level)),
      [],
    );
  });

  it("the codes are gRPC's: 7 is PERMISSION_DENIED, 16 is UNAUTHENTICATED", () => {
    assert.deepEqual([Code.PermissionDenied, Code.Unauthenticated], [7, 16]);
  });
});

describe("scopeGrants", () => {
  for (const [held, needed, expected] of [
    ["a:send", "a:send", true],
    ["a:send", "a:read", false],
    ["a:*", "a:send", true],
    ["*:send", "a:send", true],
    ["*", "a:send", true],
    ["*", "a", true],
    ["a", "a:send", false],
    ["a:*", "a", false],
    ["a:*", "ab:send", false],
    ["a*:send", "ab:send", false],
    ["", "a:send", false],
  ] as const) {
    it(`'${held}' ${expected ? "grants" : "does not grant"} '${needed}'`, () => {
      assert.equal(scopeGrants(held, needed), expected);
    });
  }
});

describe("accessRuleOf", () => {
  it("reads the contract: Login is public, Logout takes a session, WatchRevocations a service", () => {
    const { login, logout, watchRevocations } = AuthService.method;
    assert.deepEqual(
      [login, logout, watchRevocations].map((method) => {
        const rule = accessRuleOf(method);
        return [rule?.level, rule?.sessionOnly];
      }),
      [
        [AccessLevel.PUBLIC, false],
        [AccessLevel.AUTHENTICATED, true],
        [AccessLevel.SERVICE, false],
      ],
    );
  });
});
