import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { refused, signUp, startTestAuth, type TestAuth } from "./auth.fixture.ts";
import { sweep } from "./janitor.ts";

describe("the audit log", () => {
  let auth: TestAuth;
  beforeEach(async () => {
    auth = await startTestAuth();
  });
  afterEach(() => auth[Symbol.asyncDispose]());

  it("the audit log is paged, latest first, by user and action, with where it came from", async () => {
    const { user } = await signUp(auth);
    await signUp(auth);
    const first = await auth.call("listAuditLog", { pageSize: 3 });
    const second = await auth.call("listAuditLog", { pageSize: 3, pageToken: first.nextPageToken });
    assert.deepEqual([first.events.length, second.events.length, second.nextPageToken], [3, 1, ""]);
    const mine = await auth.call("listAuditLog", { userId: user.id, action: "login.succeeded" });
    const { action, success, userId, ipAddress, userAgent, correlationId } = mine.events[0] ?? {};
    assert.deepEqual(
      { count: mine.events.length, action, success, userId, ipAddress, userAgent, correlationId },
      {
        count: 1,
        action: "login.succeeded",
        success: true,
        userId: user.id,
        ipAddress: "192.0.2.1",
        userAgent: "test/1.0",
        correlationId: "test-correlation",
      },
    );
    for (const pageToken of ["x", "WyIxIl0", "WyJhIiwiYiJd"]) {
      await assert.rejects(auth.call("listAuditLog", { pageToken }), refused(Code.InvalidArgument));
    }
  });

  it("other services record what they refused, once per request_id", async () => {
    const event = { requestId: crypto.randomUUID(), action: "token.refused", reason: "TOKEN_INVALID" };
    for (let n = 0; n < 2; n++) assert.equal((await auth.call("recordAuditEvent", event)).recorded, true);
    assert.deepEqual(await auth.audited(), ["!token.refused"]);
  });

  it("what nobody needs any more is swept: sessions 7 days after their end, attempts after a day, audit after a year", async () => {
    const { token, user } = await signUp(auth);
    await assert.rejects(auth.call("login", { email: user.email, password: "wrong passphrase" }), refused(Code.Unauthenticated));
    await auth.call("logout", {}, { token });
    const count = async () => {
      const rows = await auth.db.query(`select (select count(*)::int from sessions) as sessions,
        (select count(*)::int from refresh_tokens) as tokens, (select count(*)::int from revocations) as revocations,
        (select count(*)::int from attempts) as attempts, (select count(*)::int from audit_events) as audit`);
      return rows[0];
    };
    const day = 86_400_000;
    const retention = { attemptsMs: day, auditMs: 365 * day };
    await sweep(auth.db, retention, auth.clock.now());
    assert.deepEqual(await count(), { sessions: 1, tokens: 1, revocations: 1, attempts: 2, audit: 4 });
    await sweep(auth.db, retention, auth.clock.now() + 8 * day);
    assert.deepEqual(await count(), { sessions: 0, tokens: 0, revocations: 0, attempts: 0, audit: 4 });
    await sweep(auth.db, retention, auth.clock.now() + 366 * day);
    assert.deepEqual(await count(), { sessions: 0, tokens: 0, revocations: 0, attempts: 0, audit: 0 });
  });
});
