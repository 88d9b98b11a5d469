import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { reasonOf } from "#mesh/errors.ts";
import { good, lockedFor, recording, refused, refusedField, signUp, startTestAuth, type TestAuth } from "./auth.fixture.ts";

describe("sign-in", () => {
  let auth: TestAuth;
  beforeEach(async () => {
    auth = await startTestAuth();
  });
  afterEach(() => auth[Symbol.asyncDispose]());

  describe("login", () => {
    it("answers with tokens that say who it is, in the names and times of the contract", async () => {
      const { user } = await signUp(auth);
      const { accessToken, tokenType, expiresIn } = await auth.call("login", { email: user.email, password: good });
      assert.equal(tokenType, "Bearer");
      assert.ok(expiresIn > 890 && expiresIn <= 900);
      const [header = "", payload = ""] = accessToken.split(".").map((part) => Buffer.from(part, "base64url").toString());
      const { sid, iat, exp, ...claims } = JSON.parse(payload);
      assert.deepEqual(claims, { iss: "heddle", aud: "heddle", sub: user.id, kind: "user", roles: [] });
      assert.equal(exp - iat <= 900, true);
      const { keys } = await auth.call("getJwks");
      assert.deepEqual(JSON.parse(header), { alg: "EdDSA", kid: keys[0]?.kid, typ: "JWT" });
      const { sessions } = await auth.call("listSessions", {}, { token: accessToken });
      assert.deepEqual(
        sessions.map((session) => [session.id === sid, session.current, session.ipAddress, session.userAgent]),
        [
          [true, true, "192.0.2.1", "test/1.0"],
          [false, false, "192.0.2.1", "test/1.0"],
        ],
      );
    });

    it("gives an unknown address and a wrong password the same answer after the same statements", async () => {
      const { user } = await signUp(auth);
      const seen: string[][] = [];
      await using watched = await startTestAuth({ url: auth.url, wrap: (db) => recording(db, seen) });
      const answers: string[] = [];
      for (const email of [user.email, "nobody@example.com"]) {
        seen.push([]);
        const error = await watched.call("login", { email, password: "wrong passphrase" }).catch((thrown: unknown) => thrown);
        assert.ok(error instanceof ConnectError);
        answers.push(`${error.code} ${error.rawMessage} ${reasonOf(error)}`);
      }
      assert.equal(answers[0], answers[1]);
      assert.equal(answers[0], `${Code.Unauthenticated} the address or the password is wrong INVALID_CREDENTIALS`);
      assert.ok((seen.at(-1)?.length ?? 0) >= 4);
      assert.deepEqual(seen.at(-1), seen.at(-2));
    });

    for (const known of [true, false]) {
      it(`locks out after 5 failures, longer each time, ${known ? "a known" : "an unknown"} account`, async () => {
        const email = known ? (await signUp(auth)).user.email : "nobody@example.com";
        const attempt = (password: string) => auth.call("login", { email, password });
        for (let n = 1; n <= 5; n++) await assert.rejects(attempt("wrong passphrase"), refused(Code.Unauthenticated));
        await assert.rejects(attempt(good), lockedFor(30_000));
        auth.clock.offsetMs += 30_001;
        await assert.rejects(attempt("wrong passphrase"), refused(Code.Unauthenticated));
        await assert.rejects(attempt(good), lockedFor(60_000));
        assert.equal((await auth.audited()).at(-1), "!login.locked");
      });
    }

    it("counts attempts made at the same time: of 40 exactly 5 are let through", async () => {
      const { user } = await signUp(auth);
      const attempts = Array.from({ length: 40 }, (_, n) =>
        auth.call("login", { email: user.email, password: "wrong passphrase" }, { address: `192.0.2.${n}` }),
      );
      const codes = (await Promise.allSettled(attempts)).map((result) => (result.status === "rejected" ? result.reason.code : 0));
      assert.equal(codes.filter((code) => code === Code.Unauthenticated).length, 5);
      assert.equal(codes.filter((code) => code === Code.ResourceExhausted).length, 35);
    });

    it("a success starts the account from nothing, but not the address", async () => {
      const { user } = await signUp(auth);
      for (let round = 0; round < 4; round++) {
        for (let n = 0; n < 4; n++) {
          await assert.rejects(
            auth.call("login", { email: user.email, password: "wrong passphrase" }),
            refused(Code.Unauthenticated),
          );
        }
        await auth.call("login", { email: user.email, password: good });
      }
      for (let n = 0; n < 4; n++) {
        const email = `nobody-${n}@example.com`;
        await assert.rejects(auth.call("login", { email, password: "wrong passphrase" }), refused(Code.Unauthenticated));
      }
      // 20 failures came from that address by now; another address is let in.
      await assert.rejects(auth.call("login", { email: user.email, password: good }), lockedFor(30_000));
      await auth.call("login", { email: user.email, password: good }, { address: "198.51.100.7" });
    });
  });

  it("the token endpoint takes password and refresh_token too", async () => {
    const { user } = await signUp(auth);
    const first = await auth.call("token", { grantType: "password", username: user.email, password: good });
    const second = await auth.call("token", { grantType: "refresh_token", refreshToken: first.refreshToken });
    assert.equal((await auth.call("getMe", {}, { token: second.accessToken })).user?.id, user.id);
    await assert.rejects(auth.call("token", { grantType: "refresh_token" }), refusedField("refresh_token"));
    await assert.rejects(auth.call("token", { grantType: "password", username: "a@b.c" }), refusedField("password"));
  });
});
