import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import {
  type AuthService,
  GetJwksResponseSchema,
  type WatchRevocationsResponse,
  WatchRevocationsResponseSchema,
} from "#gen/auth/v1/auth_pb.ts";
import { type CallContext, currentContext, runWithContext } from "../context.ts";
import { reasonOf, unavailable } from "../errors.ts";
import { createLogger } from "../telemetry/log.ts";
import { remoteTokenVerifier } from "./tokens.ts";

const log = createLogger({ service: "t", instance: "t-1", level: "silent" });
const now = 1_700_000_000_000;

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

/** auth as a verifier sees it: keys and revocations that a test sets, and how often it was asked. */
class FakeAuth {
  readonly published = new Map<string, Pair>();
  up = true;
  fetches = 0;
  watches = 0;
  inContext = false;
  #stream: TransformStream<WatchRevocationsResponse, WatchRevocationsResponse> | undefined;
  #writer: WritableStreamDefaultWriter<WatchRevocationsResponse> | undefined;

  async addKey(kid: string): Promise<Pair> {
    const pair = await generateKeyPair("EdDSA", { extractable: true });
    this.published.set(kid, pair);
    return pair;
  }

  get client(): Client<typeof AuthService> {
    const getJwks = async () => {
      this.fetches++;
      this.inContext ||= currentContext() !== undefined;
      if (!this.up) throw unavailable("auth is away");
      const keys = await Promise.all(
        [...this.published].map(async ([kid, { publicKey }]) => {
          const { kty = "", crv = "", x = "" } = await exportJWK(publicKey);
          return { kty, crv, x, kid, use: "sig", alg: "EdDSA" };
        }),
      );
      return create(GetJwksResponseSchema, { keys });
    };
    const watchRevocations = (_request: unknown, { signal }: { signal: AbortSignal }) => {
      this.watches++;
      return this.#watch(signal);
    };
    return { getJwks, watchRevocations } as unknown as Client<typeof AuthService>;
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<WatchRevocationsResponse> {
    if (!this.up) throw unavailable("auth is away");
    this.#stream = new TransformStream();
    this.#writer = this.#stream.writable.getWriter();
    const writer = this.#writer;
    writer.closed.catch(() => undefined);
    signal.addEventListener("abort", () => void writer.abort().catch(() => undefined));
    yield create(WatchRevocationsResponseSchema, {});
    yield* this.#stream.readable.values();
  }

  async revoke(sessionId: string): Promise<void> {
    const forgetTime = timestampFromMs(Date.now() + 60_000);
    await this.#writer?.write(create(WatchRevocationsResponseSchema, { revocations: [{ sessionId, forgetTime }] }));
  }

  async breakStream(): Promise<void> {
    await this.#writer?.abort(unavailable("gone")).catch(() => undefined);
  }
}

const claims = {
  iss: "heddle",
  aud: "heddle",
  sub: "ada",
  sid: "session-1",
  roles: ["admin"],
  kind: "user",
  exp: now / 1000 + 900,
};

function sign(pair: Pair, kid: string, change: JWTPayload = {}): Promise<string> {
  return new SignJWT({ ...claims, ...change }).setProtectedHeader({ alg: "EdDSA", kid }).sign(pair.privateKey);
}

const { exp: _exp, ...endless } = claims;

async function reason(verification: Promise<unknown>): Promise<string> {
  const outcome = await verification.catch((error: unknown) => error);
  assert(outcome instanceof ConnectError, "it was let in");
  return `${outcome.code} ${reasonOf(outcome)}`;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 5000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within 5 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("remoteTokenVerifier", () => {
  it("asks nothing before the first token, then reads every claim", async () => {
    const auth = new FakeAuth();
    const pair = await auth.addKey("k1");
    await using verifier = remoteTokenVerifier({ auth: auth.client, log });
    assert.deepEqual([auth.fetches, auth.watches], [0, 0]);
    const token = await sign(pair, "k1");
    assert.deepEqual(await verifier.verify(token, now), {
      kind: "user",
      id: "ada",
      roles: ["admin"],
      scopes: [],
      sessionId: "session-1",
      token,
      expiresAt: now + 900_000,
      degraded: false,
    });
    const key = await verifier.verify(await sign(pair, "k1", { kind: "api-key", roles: [], scope: "a:send b:*" }), now);
    assert.deepEqual([key.kind, key.scopes], ["api-key", ["a:send", "b:*"]]);
    const scoped = await verifier.verify(await sign(pair, "k1", { scope: "a:send" }), now);
    assert.deepEqual(scoped.scopes, [], "scopes are for API keys only");
    assert.deepEqual([auth.fetches, auth.watches], [1, 1]);
  });

  it("asks as soon as auth is found, so that the first token verifies although auth has gone since", async () => {
    const auth = new FakeAuth();
    const pair = await auth.addKey("k1");
    const search = Promise.withResolvers<void>();
    await using verifier = remoteTokenVerifier({ auth: auth.client, found: () => search.promise, log });
    assert.deepEqual([auth.fetches, auth.watches], [0, 0]);
    search.resolve();
    await until(() => auth.fetches === 1 && auth.watches === 1);
    auth.up = false;
    assert.equal((await verifier.verify(await sign(pair, "k1"), now)).id, "ada");
  });

  it("gives up the search for auth when it is disposed", async () => {
    const searched = Promise.withResolvers<AbortSignal>();
    const found = (signal: AbortSignal) => {
      searched.resolve(signal);
      return new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    await remoteTokenVerifier({ auth: new FakeAuth().client, found, log })[Symbol.asyncDispose]();
    assert.equal((await searched.promise).aborted, true);
  });

  it("a token ends when it says, also one that was verified before", async () => {
    const auth = new FakeAuth();
    const pair = await auth.addKey("k1");
    await using verifier = remoteTokenVerifier({ auth: auth.client, log });
    const token = await sign(pair, "k1");
    await verifier.verify(token, now + 899_000);
    assert.equal(await reason(verifier.verify(token, now + 900_000)), "16 TOKEN_EXPIRED");
  });

  it("forgeries are TOKEN_INVALID: alg none, HS256, another key under the same kid, wrong claims, garbage", async () => {
    const auth = new FakeAuth();
    const pair = await auth.addKey("k1");
    const stranger = await generateKeyPair("EdDSA");
    await using verifier = remoteTokenVerifier({ auth: auth.client, log });
    const publicKey = new TextEncoder().encode(JSON.stringify(await exportJWK(pair.publicKey)));
    const good = await sign(pair, "k1");
    const [header, , signature] = good.split(".");
    const otherClaims = Buffer.from(JSON.stringify({ ...claims, sub: "bob" })).toString("base64url");
    const tokens = await Promise.all([
      new UnsecuredJWT(claims).encode(),
      `${Buffer.from('{"alg":"none","kid":"k1"}').toString("base64url")}.${otherClaims}.`,
      new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "k1" }).sign(publicKey),
      sign(stranger, "k1"),
      `${header}.${otherClaims}.${signature}`,
      new SignJWT(claims).setProtectedHeader({ alg: "EdDSA" }).sign(pair.privateKey),
      sign(pair, "k1", { iss: "other" }),
      sign(pair, "k1", { aud: "other" }),
      sign(pair, "k1", { sub: "" }),
      sign(pair, "k1", { sid: 7 }),
      sign(pair, "k1", { kind: "service" }),
      sign(pair, "k1", { roles: "admin" }),
      sign(pair, "k1", { nbf: now / 1000 + 60 }),
      new SignJWT(endless).setProtectedHeader({ alg: "EdDSA", kid: "k1" }).sign(pair.privateKey),
      "garbage",
    ]);
    for (const token of tokens) assert.equal(await reason(verifier.verify(token, now)), "16 TOKEN_INVALID", token);
  });

  it("an unknown kid fetches the keys once, and again only 5 s later", async () => {
    const auth = new FakeAuth();
    const first = await auth.addKey("k1");
    await using verifier = remoteTokenVerifier({ auth: auth.client, log });
    await verifier.verify(await sign(first, "k1"), now);
    const second = await auth.addKey("k2");
    const token = await sign(second, "k2");
    assert.equal(await reason(verifier.verify(token, now + 4999)), "16 TOKEN_INVALID");
    assert.equal(auth.fetches, 1);
    assert.equal((await verifier.verify(token, now + 5000)).id, "ada");
    assert.equal(auth.fetches, 2);
    const unknown = await sign(await generateKeyPair("EdDSA"), "k3");
    const outcomes = await Promise.all([1, 2, 3].map(() => reason(verifier.verify(unknown, now + 10_000))));
    assert.deepEqual([outcomes, auth.fetches], [["16 TOKEN_INVALID", "16 TOKEN_INVALID", "16 TOKEN_INVALID"], 3]);
  });

  it("the very first verification waits for auth to be found, here 200 ms", async () => {
    const auth = new FakeAuth();
    const pair = await auth.addKey("k1");
    auth.up = false;
    await using verifier = remoteTokenVerifier({ auth: auth.client, log });
    setTimeout(() => {
      auth.up = true;
    }, 200);
    const { id, degraded } = await verifier.verify(await sign(pair, "k1"), now);
    assert.deepEqual([id, degraded], ["ada", false]);
  });

  it("with auth away and no key known it is UNAVAILABLE within 2 s, later at once; the keys come when auth is back", async () => {
    const auth = new FakeAuth();
    const pair = await auth.addKey("k1");
    auth.up = false;
    await using verifier = remoteTokenVerifier({ auth: auth.client, log });
    const token = await sign(pair, "k1");
    const attempt = async (at: number) => {
      const started = performance.now();
      const error = await verifier.verify(token, at).catch((thrown: unknown) => thrown);
      assert(error instanceof ConnectError);
      assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "the keys of auth are not known yet"]);
      return performance.now() - started;
    };
    const first = await attempt(now);
    assert(first > 1900 && first < 2500, `${first} ms`);
    assert((await attempt(now + 500)) < 500);
    auth.up = true;
    assert.equal((await verifier.verify(token, now + 1000)).id, "ada");
  });

  it("keys are fetched outside the context of the call that needed them", async () => {
    const auth = new FakeAuth();
    const pair = await auth.addKey("k1");
    await using verifier = remoteTokenVerifier({ auth: auth.client, log });
    const token = await sign(pair, "k1");
    await runWithContext({} as CallContext, () => verifier.verify(token, now));
    assert.deepEqual([auth.fetches, auth.inContext], [1, false]);
  });

  it("with auth gone later: known keys verify, marked degraded; forged and expired tokens are refused all the same", async () => {
    const auth = new FakeAuth();
    const pair = await auth.addKey("k1");
    await using verifier = remoteTokenVerifier({ auth: auth.client, log });
    const token = await sign(pair, "k1");
    assert.equal((await verifier.verify(token, now)).degraded, false);
    auth.up = false;
    await auth.breakStream();
    await until(async () => (await verifier.verify(token, now)).degraded);
    const fresh = await sign(pair, "k1", { sub: "bob" });
    const { id, degraded } = await verifier.verify(fresh, now);
    assert.deepEqual([id, degraded], ["bob", true]);
    assert.equal(await reason(verifier.verify(await sign(await generateKeyPair("EdDSA"), "k1"), now)), "16 TOKEN_INVALID");
    assert.equal(await reason(verifier.verify(await sign(pair, "k1", { exp: now / 1000 - 1 }), now)), "16 TOKEN_EXPIRED");
    auth.up = true;
    await until(async () => !(await verifier.verify(token, now)).degraded);
  });

  it("a revoked session is TOKEN_REVOKED at once, and stays so while auth is away", async () => {
    const auth = new FakeAuth();
    const pair = await auth.addKey("k1");
    await using verifier = remoteTokenVerifier({ auth: auth.client, log });
    const token = await sign(pair, "k1");
    const other = await sign(pair, "k1", { sid: "session-2" });
    await verifier.verify(token, now);
    await auth.revoke("session-1");
    assert.equal(await reason(verifier.verify(token, now)), "16 TOKEN_REVOKED");
    assert.equal((await verifier.verify(other, now)).sessionId, "session-2");
    auth.up = false;
    await auth.breakStream();
    await until(async () => (await verifier.verify(other, now)).degraded);
    assert.equal(await reason(verifier.verify(token, now)), "16 TOKEN_REVOKED");
  });

  it("keys older than 10 minutes are fetched anew in the background; a withdrawn one stops counting", async () => {
    const auth = new FakeAuth();
    const old = await auth.addKey("k1");
    await using verifier = remoteTokenVerifier({ auth: auth.client, log });
    const later = { exp: now / 1000 + 9000 };
    await verifier.verify(await sign(old, "k1", later), now);
    auth.published.clear();
    const next = await auth.addKey("k2");
    await verifier.verify(await sign(old, "k1", { ...later, sub: "bob" }), now + 600_000);
    await until(() => auth.fetches === 2);
    assert.equal((await verifier.verify(await sign(next, "k2", later), now + 600_001)).id, "ada");
    assert.equal(
      await reason(verifier.verify(await sign(old, "k1", { ...later, sub: "eve" }), now + 600_002)),
      "16 TOKEN_INVALID",
    );
  });
});
