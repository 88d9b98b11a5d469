import assert from "node:assert/strict";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { reasonOf } from "#mesh/errors.ts";
import { remoteTokenVerifier } from "#mesh/identity/tokens.ts";
import { startMesh, type TestMesh } from "#mesh/testing.ts";
import { auth } from "./service.ts";

const password = "a good long passphrase";

describe("auth in the mesh", () => {
  let mesh: TestMesh;
  let client: Client<typeof AuthService>;
  before(async () => {
    mesh = await startMesh([auth]);
    client = mesh.client(AuthService);
  });
  after(() => mesh[Symbol.asyncDispose]());

  const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

  it("register, sign in, me; a caller without a token is nobody's user", async () => {
    const { user } = await client.register({ email: "ada@example.com", password, name: "Ada" });
    const { accessToken } = await client.login({ email: "ada@example.com", password });
    assert.equal((await client.getMe({}, as(accessToken))).user?.id, user?.id);
    assert.equal((await client.verify({}, as(accessToken))).userId, user?.id);
    await assert.rejects(client.getMe({}), refusedFor("SIGN_IN_REQUIRED"));
    await assert.rejects(client.logout({}), refusedFor("SIGN_IN_REQUIRED"));
    await assert.rejects(client.getMe({}, as(`${accessToken}x`)), refusedFor("TOKEN_INVALID"));
    await assert.rejects(client.listAuditLog({}, as(accessToken)), refusedFor("ROLE_REQUIRED"));
  });

  it("bad requests are INVALID_ARGUMENT: no address, a short password, a text with U+0000", async () => {
    const bad = [
      { email: "nobody", password },
      { email: "eve@example.com", password: "short" },
      { email: "eve@example.com", password, name: "a\0b" },
      { email: "eve@example.com", password, requestId: "1" },
    ];
    for (const request of bad) await assert.rejects(client.register(request), { code: Code.InvalidArgument });
    await assert.rejects(client.login({ email: "a\0b", password }), { code: Code.InvalidArgument });
  });

  it("an API key's token may read, but not change credentials", async () => {
    const { accessToken } = await client.login({ email: "ada@example.com", password });
    const { secret } = await client.createApiKey({ name: "ci" }, as(accessToken));
    const { accessToken: keyToken } = await client.exchangeApiKey({ apiKey: secret });
    assert.equal((await client.getMe({}, as(keyToken))).user?.email, "ada@example.com");
    await assert.rejects(client.createApiKey({ name: "another" }, as(keyToken)), refusedFor("SESSION_REQUIRED"));
  });

  it("a verifier elsewhere in the mesh takes the token, and refuses it after logout", async () => {
    const verifier = remoteTokenVerifier({ auth: client, log: pino({ level: "silent" }) });
    const { accessToken } = await client.login({ email: "ada@example.com", password });
    const principal = await verifier.verify(accessToken, Date.now());
    assert.deepEqual([principal.kind, principal.degraded], ["user", false]);
    await client.logout({}, as(accessToken));
    for (const end = Date.now() + 5000; Date.now() < end; ) {
      const error = await verifier.verify(accessToken, Date.now()).catch((thrown: unknown) => thrown);
      if (error instanceof ConnectError && reasonOf(error) === "TOKEN_REVOKED") break;
      await new Promise(setImmediate);
    }
    await assert.rejects(verifier.verify(accessToken, Date.now()), refusedFor("TOKEN_REVOKED"));
    await verifier[Symbol.asyncDispose]();
  });
});

const refusedFor = (reason: string) => (error: unknown) => error instanceof ConnectError && reasonOf(error) === reason;
