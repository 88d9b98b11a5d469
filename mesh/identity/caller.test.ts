import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { SignJWT, UnsecuredJWT } from "jose";
import { reasonOf } from "../errors.ts";
import { callerToken, callerVerifier } from "./caller.ts";

const secret = "0123456789abcdef0123456789abcdef";
const now = 1_700_000_000_000;

async function reason(token: string, at = now): Promise<string | undefined> {
  const outcome = await callerVerifier(secret)(token, at).catch((error: unknown) => error);
  assert(outcome instanceof ConnectError, "it was let in");
  assert.equal(outcome.code, Code.Unauthenticated);
  return reasonOf(outcome);
}

function forged(change: (jwt: SignJWT) => SignJWT, alg = "HS256", key = secret): Promise<string> {
  const jwt = new SignJWT()
    .setIssuer("heddle-mesh")
    .setSubject("ledger")
    .setExpirationTime(now / 1000 + 60)
    .setProtectedHeader({ alg });
  return change(jwt).sign(new TextEncoder().encode(key));
}

describe("the calling service's proof", () => {
  it("names the service and ends after 60 s", async () => {
    const token = await callerToken("ledger", secret).current(now);
    assert.deepEqual(await callerVerifier(secret)(token, now), {
      kind: "service",
      id: "ledger",
      roles: [],
      scopes: [],
      sessionId: "",
      token: "",
      expiresAt: now + 60_000,
      degraded: false,
    });
  });

  it("is signed anew after 30 s and not before, also when the clock is set back", async () => {
    const caller = callerToken("ledger", secret);
    const first = await caller.current(now);
    assert.equal(await caller.current(now + 29_999), first);
    const second = await caller.current(now + 30_000);
    assert.notEqual(second, first);
    assert.equal(await caller.current(now), first);
  });

  it("expired is CALLER_EXPIRED, also for a verifier that has seen it before", async () => {
    const token = await callerToken("ledger", secret).current(now);
    const verify = callerVerifier(secret);
    await verify(token, now + 59_000);
    await assert.rejects(verify(token, now + 60_000), { rawMessage: "the calling service's proof has expired" });
    assert.equal(await reason(token, now + 60_000), "CALLER_EXPIRED");
  });

  it("another secret, issuer or algorithm, no subject, no end, 'none' and garbage are CALLER_INVALID", async () => {
    const long = "0123456789abcdef".repeat(4);
    const tokens = await Promise.all([
      forged((jwt) => jwt, "HS256", `x${secret.slice(1)}`),
      forged((jwt) => jwt.setIssuer("heddle")),
      forged((jwt) => jwt, "HS512", long),
      forged((jwt) => jwt.setSubject("")).then((token) => `${token}x`),
      new SignJWT({ iss: "heddle-mesh", sub: "ledger" })
        .setProtectedHeader({ alg: "HS256" })
        .sign(new TextEncoder().encode(secret)),
      new UnsecuredJWT({ iss: "heddle-mesh", sub: "ledger", exp: now / 1000 + 60 }).encode(),
      "",
      "a.b.c",
    ]);
    for (const token of tokens) assert.equal(await reason(token), "CALLER_INVALID", token);
  });

  it("a secret of 31 characters is refused at boot, without being shown", () => {
    const short = "s".repeat(31);
    const message = "the mesh secret: expected at least 32 characters, got 31";
    assert.throws(() => callerToken("ledger", short), { name: "RangeError", message });
    assert.throws(() => callerVerifier(short), { name: "RangeError", message });
  });
});
