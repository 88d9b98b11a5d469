import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { reasonOf } from "#mesh/errors.ts";
import {
  good,
  lockedFor,
  refused,
  refusedField,
  refusedFor,
  signUp,
  startTestAuth,
  type TestAuth,
  until,
} from "./auth.fixture.ts";

describe("sessions", () => {
  let auth: TestAuth;
  beforeEach(async () => {
    auth = await startTestAuth();
  });
  afterEach(() => auth[Symbol.asyncDispose]());

  describe("refresh", () => {
    it("rotates; the old token, used again, ends the session and is audited", async () => {
      const { refreshToken: first, token } = await signUp(auth);
      const second = await auth.call("refresh", { refreshToken: first });
      assert.notEqual(second.refreshToken, first);
      await assert.rejects(auth.call("refresh", { refreshToken: first }), refusedFor("REFRESH_TOKEN_REUSED"));
      await assert.rejects(auth.call("refresh", { refreshToken: second.refreshToken }), refusedFor("REFRESH_TOKEN_INVALID"));
      for (const stolen of [token, second.accessToken]) {
        await assert.rejects(auth.call("getMe", {}, { token: stolen }), refusedFor("TOKEN_REVOKED"));
      }
      const log = await auth.audited();
      assert.deepEqual(log.slice(2), [
        "refresh.succeeded",
        "!refresh.reused",
        "!refresh.failed",
        "!token.refused",
        "!token.refused",
      ]);
    });

    it("of ten at the same time one wins, and the session ends", async () => {
      const { refreshToken } = await signUp(auth);
      const results = await Promise.allSettled(Array.from({ length: 10 }, () => auth.call("refresh", { refreshToken })));
      assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
      assert.deepEqual(await auth.db.query("select 1 from sessions where end_time is null"), []);
    });

    it("an unknown token and a session idle for 30 days are REFRESH_TOKEN_INVALID", async () => {
      const { refreshToken } = await signUp(auth);
      await assert.rejects(auth.call("refresh", { refreshToken: "hr_x" }), refusedFor("REFRESH_TOKEN_INVALID"));
      auth.clock.offsetMs += 29 * 86_400_000;
      const next = await auth.call("refresh", { refreshToken });
      auth.clock.offsetMs += 30 * 86_400_000;
      await assert.rejects(auth.call("refresh", { refreshToken: next.refreshToken }), refusedFor("REFRESH_TOKEN_INVALID"));
    });
  });

  describe("the end of sessions", () => {
    it("logout makes both tokens useless at once, and only those of this session", async () => {
      const here = await signUp(auth);
      const there = await auth.call("login", { email: here.user.email, password: good });
      assert.equal((await auth.call("logout", {}, { token: here.token })).sessionsEnded, 1);
      await assert.rejects(auth.call("refresh", { refreshToken: here.refreshToken }), refusedFor("REFRESH_TOKEN_INVALID"));
      await assert.rejects(auth.call("getMe", {}, { token: here.token }), refusedFor("TOKEN_REVOKED"));
      assert.equal((await auth.call("logout", { everywhere: true }, { token: there.accessToken })).sessionsEnded, 1);
      await assert.rejects(auth.call("getMe", {}, { token: there.accessToken }), refusedFor("TOKEN_REVOKED"));
    });

    it("a session of another user is NOT_FOUND, audited, and goes on", async () => {
      const [ada, eve] = [await signUp(auth), await signUp(auth)];
      const { sessions } = await auth.call("listSessions", {}, { token: ada.token });
      const request = { sessionId: sessions[0]?.id ?? "" };
      await assert.rejects(auth.call("revokeSession", request, { token: eve.token }), refused(Code.NotFound));
      assert.equal((await auth.audited()).at(-1), "!session.revoked");
      await auth.call("getMe", {}, { token: ada.token });
      await auth.call("revokeSession", request, { token: ada.token });
      await assert.rejects(auth.call("getMe", {}, { token: ada.token }), refusedFor("TOKEN_REVOKED"));
      await assert.rejects(auth.call("revokeSession", request, { token: eve.token }), refused(Code.NotFound));
    });

    it("a new password ends the other sessions, keeps this one, and the old password is worth nothing", async () => {
      const { user, token } = await signUp(auth);
      const other = await auth.call("login", { email: user.email, password: good });
      const request = { currentPassword: good, newPassword: "an even better passphrase" };
      const wrong = auth.call("changePassword", { ...request, currentPassword: "wrong passphrase" }, { token });
      await assert.rejects(wrong, refusedField("current_password"));
      await assert.rejects(
        auth.call("changePassword", { ...request, newPassword: "password1" }, { token }),
        refusedField("new_password"),
      );
      assert.equal((await auth.call("changePassword", request, { token })).sessionsEnded, 1);
      await auth.call("getMe", {}, { token });
      await assert.rejects(auth.call("getMe", {}, { token: other.accessToken }), refusedFor("TOKEN_REVOKED"));
      await assert.rejects(auth.call("login", { email: user.email, password: good }), refusedFor("INVALID_CREDENTIALS"));
      await auth.call("login", { email: user.email, password: request.newPassword });
    });

    it("wrong passwords of a signed-in user lock too, without touching sign-in", async () => {
      const { user, token } = await signUp(auth);
      const request = { currentPassword: "wrong passphrase", newPassword: "an even better passphrase" };
      for (let n = 0; n < 5; n++)
        await assert.rejects(auth.call("changePassword", request, { token }), refusedField("current_password"));
      await assert.rejects(auth.call("changePassword", request, { token }), lockedFor(30_000));
      await auth.call("login", { email: user.email, password: good });
    });

    it("watchRevocations gives first all that matter, also none, then each before the call that ends it is answered", async () => {
      const stop = new AbortController();
      const heard: string[][] = [];
      const watching = (async () => {
        for await (const { revocations } of auth.watch(stop.signal)) heard.push(revocations.map(({ sessionId }) => sessionId));
      })();
      await until(() => heard.length === 1);
      const one = await signUp(auth);
      const { sessions } = await auth.call("listSessions", {}, { token: one.token });
      await auth.call("logout", {}, { token: one.token });
      assert.deepEqual(heard, [[], [sessions[0]?.id]]);
      stop.abort();
      await watching;
      const again = new AbortController();
      for await (const { revocations } of auth.watch(again.signal)) {
        assert.deepEqual(
          revocations.map(({ sessionId }) => sessionId),
          [sessions[0]?.id],
        );
        again.abort();
      }
    });

    it("another instance refuses the token too, and its watchers hear of it", async () => {
      await using other = await startTestAuth({ url: auth.url });
      const { token } = await signUp(auth);
      await other.call("getMe", {}, { token });
      await auth.call("logout", {}, { token });
      await until(async () => {
        const error = await other.call("getMe", {}, { token }).catch((thrown: unknown) => thrown);
        return error instanceof ConnectError && reasonOf(error) === "TOKEN_REVOKED";
      });
    });
  });
});
