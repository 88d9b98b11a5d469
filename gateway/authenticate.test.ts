import assert from "node:assert/strict";
import { Code, type ConnectError } from "@connectrpc/connect";
import { type CallContext, currentContext, type Principal, runWithContext } from "#mesh/context.ts";
import { canceled, from, notFound, reasonOf, unauthenticated, unavailable } from "#mesh/errors.ts";
import { type AuthenticateOptions, createAuthenticator } from "./authenticate.ts";

/** Verifies `good:<id>` and `short:<id>`, which ends at 100 s; counts what it is asked. */
function parts(overrides: AuthenticateOptions = {}) {
  const asked: string[] = [];
  const revoked = new Set<string>();
  const options: AuthenticateOptions = {
    verifier: {
      async verify(token) {
        if (revoked.has(token)) throw unauthenticated("TOKEN_REVOKED", "revoked");
        if (!token.startsWith("good.")) throw unauthenticated("TOKEN_INVALID", "no");
        return principal(token);
      },
    },
    async exchangeApiKey(key) {
      asked.push(key);
      if (key === "away") throw unavailable("auth is away");
      if (key !== "hk_1") throw notFound("key", "x");
      return `good.${key}.${asked.length}`;
    },
    staticApiKeys: ["plain", "ci:secret", "ops:s3cret:admin|queue:publish|*"],
    ...overrides,
  };
  return { asked, revoked, authenticator: createAuthenticator(options) };
}

function contextWith(signal: AbortSignal): CallContext {
  return {
    deadline: 1000,
    signal,
    principal: undefined,
    caller: undefined,
    trace: { traceId: "", spanId: "", flags: 0, state: "" },
    correlationId: "c",
    criticality: "CRITICAL",
    client: { address: "192.0.2.1", userAgent: "" },
  };
}

function principal(token: string): Principal {
  const base = { kind: "user", id: token, roles: [], scopes: [], sessionId: "s", token, degraded: false } as const;
  return { ...base, expiresAt: 100_000 };
}

describe("gateway/authenticate", () => {
  it("finds nobody without credentials", async () => {
    assert.deepEqual(await parts().authenticator.identify({}, 0), { principal: undefined, own: false });
  });

  it("verifies a bearer token, whatever the case of the scheme", async () => {
    const { authenticator } = parts();
    assert.equal((await authenticator.identify({ authorization: "bearer good.a" }, 0)).principal?.id, "good.a");
  });

  for (const authorization of ["Bearer bad", "Basic Zm9v", "Bearer", "Bearer a b", "Bearer \x00"]) {
    it(`refuses Authorization: ${JSON.stringify(authorization)}`, async () => {
      const error = await failure(parts().authenticator.identify({ authorization }, 0));
      assert.deepEqual([error.code, reasonOf(error)], [Code.Unauthenticated, "TOKEN_INVALID"]);
    });
  }

  it("leaves Authorization to the backend when there is no verifier", async () => {
    const authenticator = createAuthenticator({});
    assert.deepEqual(await authenticator.identify({ authorization: "Basic Zm9v" }, 0), { principal: undefined, own: false });
  });

  it("knows its own keys by name, roles and scopes", async () => {
    const { authenticator, asked } = parts();
    const who = await Promise.all(["plain", "secret", "s3cret"].map((key) => authenticator.identify({ "x-api-key": key }, 0)));
    assert.deepEqual(
      who.map(({ own, principal }) => [own, principal?.kind, principal?.id, principal?.roles, principal?.scopes]),
      [
        [true, "api-key", "static-1", [], []],
        [true, "api-key", "ci", [], []],
        [true, "api-key", "ops", ["admin"], ["queue:publish", "*"]],
      ],
    );
    assert.deepEqual(asked, []);
  });

  it("exchanges a key once, until 30 s before its token ends", async () => {
    const { authenticator, asked } = parts();
    const at = async (now: number) => (await authenticator.identify({ "x-api-key": "hk_1" }, now)).principal?.id;
    assert.deepEqual([await at(0), await at(69_999), await at(70_000)], ["good.hk_1.1", "good.hk_1.1", "good.hk_1.2"]);
    assert.equal(asked.length, 2);
  });

  it("exchanges a key once for requests at the same time", async () => {
    const { authenticator, asked } = parts();
    await Promise.all(Array.from({ length: 10 }, () => authenticator.identify({ "x-api-key": "hk_1" }, 0)));
    assert.equal(asked.length, 1);
  });

  it("refuses a revoked key at once and forgets its token", async () => {
    const { authenticator, asked, revoked } = parts();
    await authenticator.identify({ "x-api-key": "hk_1" }, 0);
    revoked.add("good.hk_1.1");
    assert.equal(reasonOf(await failure(authenticator.identify({ "x-api-key": "hk_1" }, 1))), "TOKEN_REVOKED");
    await authenticator.identify({ "x-api-key": "hk_1" }, 2);
    assert.equal(asked.length, 2);
  });

  it("asks auth about a wrong key once a second", async () => {
    const { authenticator, asked } = parts();
    const reasons = [];
    for (const now of [0, 999, 1000])
      reasons.push(reasonOf(await failure(authenticator.identify({ "x-api-key": "wrong" }, now))));
    assert.deepEqual(reasons, ["API_KEY_INVALID", "API_KEY_INVALID", "API_KEY_INVALID"]);
    assert.equal(asked.length, 2);
  });

  it("a request that leaves while its key is exchanged ends, and the one that waits for the same exchange does not", async () => {
    const answer = Promise.withResolvers<string>();
    const contexts: (CallContext | undefined)[] = [];
    const { authenticator } = parts({
      exchangeApiKey() {
        contexts.push(currentContext());
        return answer.promise;
      },
    });
    const [leaving, staying] = [new AbortController(), new AbortController()];
    const identify = ({ signal }: AbortController) =>
      runWithContext(contextWith(signal), () => authenticator.identify({ "x-api-key": "hk_1" }, 0));
    const [first, second] = [failure(identify(leaving)), identify(staying)];
    leaving.abort(canceled("left"));
    assert.equal((await first).rawMessage, "left");
    answer.resolve("good.token");
    assert.equal((await second).principal?.id, "good.token");
    assert.deepEqual(
      contexts.map((context) => [context?.signal.aborted, context?.deadline, context?.client.address]),
      [[false, 5000, "192.0.2.1"]],
    );
  });

  it("says UNAVAILABLE, and remembers nothing, while auth is away", async () => {
    const { authenticator, asked } = parts();
    for (const now of [0, 1])
      assert.equal((await failure(authenticator.identify({ "x-api-key": "away" }, now))).code, Code.Unavailable);
    assert.equal(asked.length, 2);
  });
});

async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  return promise.then(
    () => assert.fail("expected a refusal"),
    (error: unknown) => from(error),
  );
}
