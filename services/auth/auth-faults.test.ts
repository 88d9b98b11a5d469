import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { reasonOf } from "#mesh/errors.ts";
import { faulty, good, mailedToken, type SignedUp, signUp, startTestAuth, type TestAuth, until } from "./auth.fixture.ts";
import { totpCode } from "./totp.ts";

/** One call: what it needs first, and the call itself, which may come again and again until it succeeds. */
interface Case {
  readonly method: string;
  prepare(auth: TestAuth, who: SignedUp): Promise<() => Promise<unknown>>;
}

const cases: readonly Case[] = [
  call("register", async (auth) => {
    const request = { requestId: crypto.randomUUID(), email: "eve@example.com", password: good, name: "Eve" };
    return () => auth.call("register", request);
  }),
  call(
    "login",
    async (auth, { user }) =>
      () =>
        auth.call("login", { email: user.email, password: good }),
  ),
  call(
    "refresh",
    async (auth, { refreshToken }) =>
      () =>
        auth.call("refresh", { refreshToken }),
  ),
  call("refresh of a used token", async (auth, { refreshToken }) => {
    await auth.call("refresh", { refreshToken });
    return () =>
      auth.call("refresh", { refreshToken }).catch((error: unknown) => {
        if (!(error instanceof ConnectError && reasonOf(error) === "REFRESH_TOKEN_REUSED")) throw error;
      });
  }),
  call("changePassword", async (auth, { user, token }) => {
    await auth.call("login", { email: user.email, password: good });
    const request = { currentPassword: good, newPassword: "an even better passphrase" };
    return () => auth.call("changePassword", request, { token });
  }),
  call("updateMe", async (auth, { token }) => () => {
    return auth.call("updateMe", { user: { email: "moved@example.com", name: "Moved" } }, { token });
  }),
  call("verifyEmail", async (auth) => {
    await until(() => auth.mails.length === 1);
    const token = mailedToken(auth, 0);
    return () => auth.call("verifyEmail", { token });
  }),
  call(
    "logout",
    async (auth, { token }) =>
      () =>
        auth.call("logout", { everywhere: true }, { token }),
  ),
  call("revokeSession", async (auth, { user, token }) => {
    await auth.call("login", { email: user.email, password: good });
    const { sessions } = await auth.call("listSessions", {}, { token });
    const sessionId = sessions.find(({ current }) => !current)?.id ?? "";
    return () => auth.call("revokeSession", { sessionId }, { token });
  }),
  call(
    "enrollMfa",
    async (auth, { token }) =>
      () =>
        auth.call("enrollMfa", { password: good }, { token }),
  ),
  call("confirmMfa", async (auth, { token }) => {
    const { secret } = await auth.call("enrollMfa", { password: good }, { token });
    return () => auth.call("confirmMfa", { code: totpCode(secret, auth.clock.now()) }, { token });
  }),
  call("disableMfa", async (auth, { token }) => {
    const { secret } = await auth.call("enrollMfa", { password: good }, { token });
    const { recoveryCodes } = await auth.call("confirmMfa", { code: totpCode(secret, auth.clock.now()) }, { token });
    return () => auth.call("disableMfa", { password: good, code: recoveryCodes[0] ?? "" }, { token });
  }),
  call("createApiKey", async (auth, { token }) => {
    const request = { requestId: crypto.randomUUID(), name: "ci", scopes: ["a:b"] };
    return () => auth.call("createApiKey", request, { token });
  }),
  call("exchangeApiKey", async (auth, { token }) => {
    const { secret } = await auth.call("createApiKey", { name: "ci" }, { token });
    return () => auth.call("exchangeApiKey", { apiKey: secret });
  }),
  call("revokeApiKey", async (auth, { token }) => {
    const { apiKey } = await auth.call("createApiKey", { name: "ci" }, { token });
    return () => auth.call("revokeApiKey", { apiKeyId: apiKey?.id ?? "" }, { token });
  }),
  call("recordAuditEvent", async (auth) => {
    const event = { requestId: crypto.randomUUID(), action: "token.refused" };
    return () => auth.call("recordAuditEvent", event);
  }),
];

describe("auth, when a statement fails", () => {
  for (const { method, prepare } of cases) {
    it(`${method} leaves nothing behind, whichever statement it is, and succeeds when it is repeated`, async () => {
      const fault = { after: Number.POSITIVE_INFINITY, error: () => new Error("injected") };
      await using auth = await startTestAuth({ wrap: (db) => faulty(db, fault), lockoutThreshold: 1000 });
      const who = await signUp(auth);
      const attempt = await prepare(auth, who);
      await until(async () => (await auth.db.query("select 1 from pending_mails")).length === 0);
      const before = await contents(auth);
      let n = 0;
      for (; ; n++) {
        fault.after = n;
        const error = await attempt().then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        const survived = fault.after >= 0;
        fault.after = Number.POSITIVE_INFINITY;
        if (survived) {
          assert.equal(error, undefined);
          break;
        }
        assert.match(String(error), /injected/);
        assert.deepEqual(await contents(auth), before);
      }
      assert.ok(n > 0);
      assert.notDeepEqual(await contents(auth), before);
    });
  }

  it("a lost COMMIT answer: register with the same request_id answers with the one user that is there", async () => {
    let lose = false;
    await using auth = await startTestAuth({
      wrap: (db) => ({
        query: (sql, params) => db.query(sql, params),
        listen: (...args) => db.listen(...args),
        check: (signal) => db.check(signal),
        [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
        async transaction(work, options) {
          const result = await db.transaction(work, options);
          if (!lose) return result;
          lose = false;
          throw new ConnectError("the outcome is unknown", Code.Unavailable);
        },
      }),
    });
    const request = { requestId: crypto.randomUUID(), email: "ada@example.com", password: good, name: "Ada" };
    lose = true;
    await assert.rejects(auth.call("register", request), { code: Code.Unavailable });
    const { user } = await auth.call("register", request);
    assert.deepEqual(await auth.db.query("select id from users"), [{ id: user?.id }]);
    await until(() => auth.mails.length === 1);
  });
});

function call(method: string, prepare: Case["prepare"]): Case {
  return { method, prepare };
}

/** Every table but the count of attempts, which is taken before anything else on purpose. */
async function contents(auth: TestAuth): Promise<Record<string, unknown>> {
  const tables = [
    ...["users", "sessions", "refresh_tokens", "revocations", "second_factors", "recovery_codes", "api_keys"],
    ...["email_tokens", "audit_events"],
  ];
  const found: Record<string, unknown> = {};
  for (const table of tables) {
    const rows = await auth.db.query<{ row: string }>(`select t::text as row from ${table} t order by 1`);
    found[table] = rows.map(({ row }) => row);
  }
  return found;
}
