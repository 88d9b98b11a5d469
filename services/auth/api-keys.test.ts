import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { refused, refusedField, refusedFor, type SignedUp, signUp, startTestAuth, type TestAuth } from "./auth.fixture.ts";

describe("API keys", () => {
  let auth: TestAuth;
  beforeEach(async () => {
    auth = await startTestAuth();
  });
  afterEach(() => auth[Symbol.asyncDispose]());

  describe("API keys", () => {
    it("create shows the key once, exchange gives a 5 min token with its scopes, revoke ends both at once", async () => {
      const { user, token } = await signUp(auth);
      const request = { requestId: crypto.randomUUID(), name: "ci", scopes: ["notifications:send", "sensors:*"] };
      const { apiKey, secret } = await auth.call("createApiKey", request, { token });
      assert.equal(secret.slice(0, 11), apiKey?.prefix);
      const again = await auth.call("createApiKey", request, { token });
      assert.deepEqual([again.apiKey?.id, again.secret], [apiKey?.id, ""]);
      const other = auth.call("createApiKey", { ...request, name: "other" }, { token });
      await assert.rejects(other, (error) => refused(Code.AlreadyExists)(error) && /request_id/.test((error as Error).message));

      const { accessToken, expireTime } = await auth.call("exchangeApiKey", { apiKey: secret });
      assert.ok(Number(expireTime?.seconds) * 1000 - auth.clock.now() <= 300_000);
      const verified = await auth.call("verify", {}, { token: accessToken });
      assert.deepEqual([verified.userId, verified.scopes], [user.id, ["notifications:send", "sensors:*"]]);
      const principal = await auth.verifier.verify(accessToken, auth.clock.now());
      assert.deepEqual([principal.kind, principal.sessionId], ["api-key", apiKey?.id]);
      const listed = await auth.call("listApiKeys", {}, { token });
      assert.equal(Number(listed.apiKeys[0]?.lastUsedTime?.seconds) % 60, 0);
      assert.ok(!JSON.stringify(listed.apiKeys[0]?.prefix).includes(secret));

      const eve = await signUp(auth);
      const revoke = (who: SignedUp["token"]) => auth.call("revokeApiKey", { apiKeyId: apiKey?.id ?? "" }, { token: who });
      await assert.rejects(revoke(eve.token), refused(Code.NotFound));
      await revoke(token);
      await revoke(token);
      await assert.rejects(auth.call("exchangeApiKey", { apiKey: secret }), refusedFor("API_KEY_INVALID"));
      await assert.rejects(auth.call("getMe", {}, { token: accessToken }), refusedFor("TOKEN_REVOKED"));
      assert.equal((await auth.db.query("select 1 from api_keys where hash::text like '%' || $1 || '%'", [secret])).length, 0);
    });

    it("ends at its time, and so do its tokens", async () => {
      const { token } = await signUp(auth);
      const end = Math.floor(auth.clock.now() / 1000) + 60;
      const { secret } = await auth.call("createApiKey", { name: "short", expireTime: { seconds: BigInt(end) } }, { token });
      const { expireTime } = await auth.call("exchangeApiKey", { apiKey: secret });
      assert.equal(Number(expireTime?.seconds), end);
      auth.clock.offsetMs += 61_000;
      await assert.rejects(auth.call("exchangeApiKey", { apiKey: secret }), refusedFor("API_KEY_INVALID"));
    });

    it("client_credentials takes id and key, and narrows the scopes but never widens them", async () => {
      const { token } = await signUp(auth);
      const { apiKey, secret } = await auth.call("createApiKey", { name: "ci", scopes: ["notifications:*"] }, { token });
      const request = { grantType: "client_credentials", clientId: apiKey?.id ?? "", clientSecret: secret };
      const answer = await auth.call("token", { ...request, scope: "notifications:send" });
      assert.deepEqual([answer.tokenType, answer.scope, answer.refreshToken], ["Bearer", "notifications:send", ""]);
      assert.ok(answer.expiresIn > 290 && answer.expiresIn <= 300);
      await assert.rejects(auth.call("token", { ...request, scope: "users:write" }), refusedField("scope"));
      await assert.rejects(auth.call("token", { ...request, clientId: uuidv7() }), refusedFor("API_KEY_INVALID"));
      await assert.rejects(auth.call("token", { grantType: "client_credentials" }), refusedField("client_id"));
    });
  });
});
