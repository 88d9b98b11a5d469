import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { SignJWT, UnsecuredJWT } from "jose";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { good, refusedFor, signUp, startTestAuth, type TestAuth, until } from "./auth.fixture.ts";

describe("access tokens", () => {
  let auth: TestAuth;
  beforeEach(async () => {
    auth = await startTestAuth();
  });
  afterEach(() => auth[Symbol.asyncDispose]());

  it("forged, unsigned, foreign and expired tokens are refused and audited", async () => {
    const { user, token } = await signUp(auth);
    const { keys } = await auth.call("getJwks");
    const claims = { sub: user.id, sid: uuidv7(), kind: "user", roles: ["admin"] };
    const kid = keys[0]?.kid ?? "";
    const [header, payload, signature] = token.split(".");
    const admin = Buffer.from(JSON.stringify({ ...claims, iss: "heddle", aud: "heddle", exp: 4e9 })).toString("base64url");
    const input = `${Buffer.from(JSON.stringify({ alg: "HS256", kid })).toString("base64url")}.${admin}`;
    const forgeries: Record<string, string> = {
      "other claims under the old signature": `${header}.${admin}.${signature}`,
      "alg none": new UnsecuredJWT(claims).setIssuer("heddle").setAudience("heddle").setExpirationTime("1h").encode(),
      "HMAC with the public key as secret": `${input}.${createHmac("sha256", keys[0]?.x ?? "")
        .update(input)
        .digest("base64url")}`,
      "another key under our kid": await new SignJWT(claims)
        .setProtectedHeader({ alg: "EdDSA", kid })
        .setIssuer("heddle")
        .setAudience("heddle")
        .setExpirationTime("1h")
        .sign(generateKeyPairSync("ed25519").privateKey),
      "a cut signature": `${header}.${payload}.${signature?.slice(0, -4)}`,
      "no token at all": "x",
    };
    for (const forged of Object.values(forgeries)) {
      await assert.rejects(auth.call("getMe", {}, { token: forged }), refusedFor("TOKEN_INVALID"));
    }
    auth.clock.offsetMs += 15 * 60_000;
    await assert.rejects(auth.call("getMe", {}, { token }), refusedFor("TOKEN_EXPIRED"));
    const log = await auth.audited();
    assert.equal(log.filter((action) => action === "!token.refused").length, Object.keys(forgeries).length + 1);
  });

  describe("signing keys", () => {
    it("the next key is published before it signs, and the old one until its tokens have ended", async () => {
      const day = 86_400_000;
      const { user } = await signUp(auth);
      const kids = async () => (await auth.call("getJwks")).keys.map(({ kid }) => kid);
      const maintain = async () => {
        await auth.db.query("select pg_notify('auth_signing_keys', '')");
      };
      const [first] = await kids();
      auth.clock.offsetMs += 30 * day - 1_800_000;
      await maintain();
      await until(async () => (await kids()).length === 2);
      const next = (await kids())[1];
      auth.clock.offsetMs += 3_700_000;
      assert.deepEqual(await kids(), [next, first]);
      const { accessToken } = await auth.call("login", { email: user.email, password: good });
      assert.equal(JSON.parse(Buffer.from(accessToken.split(".")[0] ?? "", "base64url").toString()).kid, next);
      await auth.call("getMe", {}, { token: accessToken });
      auth.clock.offsetMs += 20 * 60_000;
      assert.deepEqual(await kids(), [next]);
    });

    it("with another encryption secret old tokens still verify, and a new key signs", async () => {
      const { token, user } = await signUp(auth);
      await using moved = await startTestAuth({ url: auth.url, secret: "another secret of the tests with over 32 characters" });
      assert.equal((await moved.call("getMe", {}, { token })).user?.id, user.id);
      const { keys } = await moved.call("getJwks");
      assert.equal(keys.length, 2);
      const { accessToken } = await moved.call("login", { email: user.email, password: good });
      assert.equal(JSON.parse(Buffer.from(accessToken.split(".")[0] ?? "", "base64url").toString()).kid, keys[0]?.kid);
      assert.equal((await auth.call("getMe", {}, { token: accessToken })).user?.id, user.id);
    });

    it("two instances that start together have one key, sealed in the database, and verify each other's tokens", async () => {
      await auth.db.query("delete from signing_keys");
      const url = auth.url;
      const [one, two] = await Promise.all([startTestAuth({ url }), startTestAuth({ url })]);
      const { token } = await signUp(one);
      assert.equal((await two.call("getMe", {}, { token })).user?.name, "Ada Lovelace");
      assert.equal((await auth.db.query("select 1 from signing_keys")).length, 1);
      await one[Symbol.asyncDispose]();
      await two[Symbol.asyncDispose]();
    });
  });
});
