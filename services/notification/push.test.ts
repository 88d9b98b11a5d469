import assert from "node:assert/strict";
import { createDecipheriv, createECDH, createPublicKey, hkdfSync, randomBytes } from "node:crypto";
import { jwtVerify } from "jose";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { OutgoingMessage } from "./channel.ts";
import { startHttp } from "./http-server.fixture.ts";
import { ann, asAnn, asBob, freshDatabase, serve } from "./notification.fixture.ts";
import { pushChannel, summary } from "./push.ts";
import { subscriptionMistakes, vapidKeys } from "./push-keys.ts";
import { subscriptionsFor } from "./push-store.ts";
import { insertNotifications } from "./store.ts";

const ever = () => new AbortController().signal;

/** What a browser has: its keys, and how it reads a message (RFC 8291 over RFC 8188). */
function browser() {
  const own = createECDH("prime256v1");
  own.generateKeys();
  const auth = randomBytes(16);
  return {
    keys: { p256dh: own.getPublicKey("base64url"), auth: auth.toString("base64url") },
    read(body: Buffer): unknown {
      const [salt, theirs] = [body.subarray(0, 16), body.subarray(21, 21 + body.readUInt8(20))];
      const sealed = body.subarray(21 + theirs.length);
      const info = Buffer.concat([Buffer.from("WebPush: info\0"), own.getPublicKey(), theirs]);
      const ikm = Buffer.from(hkdfSync("sha256", own.computeSecret(theirs), auth, info, 32));
      const key = Buffer.from(hkdfSync("sha256", ikm, salt, "Content-Encoding: aes128gcm\0", 16));
      const nonce = Buffer.from(hkdfSync("sha256", ikm, salt, "Content-Encoding: nonce\0", 12));
      const decipher = createDecipheriv("aes-128-gcm", key, nonce);
      decipher.setAuthTag(sealed.subarray(-16));
      const plain = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
      return JSON.parse(plain.subarray(0, plain.lastIndexOf(2)).toString());
    },
  };
}

describe("push", () => {
  let db: Database;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db[Symbol.asyncDispose]());
  beforeEach(async () => {
    await db.query("DELETE FROM push_subscription");
  });

  const channel = async (more: { allowPrivate?: boolean } = {}) => {
    const vapid = await vapidKeys(db, "", "");
    return pushChannel({ db, vapid, contact: "mailto:ops@example.org", clock: Date.now, allowPrivate: true, ...more });
  };

  /** A stored notification for Ann, as the channel gets it. */
  async function stored(): Promise<OutgoingMessage> {
    const now = Date.now();
    const text = { subject: "Hello", body: "Ann ü", shownSubject: "Hello", shownBody: "Ann ü", template: "", recipient: "" };
    const id = uuidv7();
    const times = { createTime: now, expireTime: now + 60_000 };
    await insertNotifications(db, "user:x", [
      { id, requestId: undefined, contentHash: "", userId: ann, channel: "push", ...text, ...times },
    ]);
    return { id, userId: ann, ...text, createTime: now };
  }

  it("sends what the browser can read, signed by the service's key, with a topic", async () => {
    await using fixture = await serve(db, { allowPrivate: true });
    await using service = await startHttp((response) => response.writeHead(201).end());
    const { keys, read } = browser();
    await fixture.as(asAnn).subscribe({ endpoint: `${service.url}push/1`, keys });
    const message = await stored();
    const delivery = await (await channel()).send(message, ever());
    assert.deepEqual(delivery, { ok: true, detail: "1 of 1 browsers took it" });
    const [post] = service.posts;
    assert.ok(post !== undefined);
    assert.deepEqual(read(post.body), { id: message.id, title: "Hello", body: "Ann ü" });
    assert.equal(post.headers["content-encoding"], "aes128gcm");
    assert.equal(post.headers.ttl, "86400");
    assert.equal(post.headers.topic, Buffer.from(message.id.replaceAll("-", ""), "hex").toString("base64url"));
    const [, token = "", publicKey = ""] = /^vapid t=(\S+), k=(\S+)$/.exec(post.headers.authorization ?? "") ?? [];
    const point = Buffer.from(publicKey, "base64url");
    const jwk = {
      kty: "EC",
      crv: "P-256",
      x: point.subarray(1, 33).toString("base64url"),
      y: point.subarray(33).toString("base64url"),
    };
    const { payload } = await jwtVerify(token, createPublicKey({ key: jwk, format: "jwk" }));
    assert.equal(payload.aud, service.url.origin);
    assert.equal(payload.sub, "mailto:ops@example.org");
    assert.equal(publicKey, (await vapidKeys(db, "", "")).publicKey);
  });

  for (const status of [404, 410]) {
    it(`forgets a subscription that answers ${status}, and takes the other's 201 for sent`, async () => {
      await using fixture = await serve(db, { allowPrivate: true });
      await using service = await startHttp((response, { path }) => response.writeHead(path === "/gone" ? status : 201).end());
      await fixture.as(asAnn).subscribe({ endpoint: `${service.url}gone`, keys: browser().keys });
      await fixture.as(asAnn).subscribe({ endpoint: `${service.url}here`, keys: browser().keys });
      const delivery = await (await channel()).send(await stored(), ever());
      assert.deepEqual(delivery, { ok: true, detail: "1 of 1 browsers took it" });
      const left = await subscriptionsFor(db, ann, uuidv7());
      assert.deepEqual(
        left.map(({ endpoint }) => endpoint),
        [`${service.url}here`],
      );
    });
  }

  it("tries only the browser again that answered 503", async () => {
    await using fixture = await serve(db, { allowPrivate: true });
    let busy = true;
    await using service = await startHttp((response, { path }) =>
      response.writeHead(path === "/b" && busy ? 503 : 201, { "retry-after": "7" }).end(),
    );
    for (const name of ["a", "b"]) await fixture.as(asAnn).subscribe({ endpoint: `${service.url}${name}`, keys: browser().keys });
    const message = await stored();
    const first = await (await channel()).send(message, ever());
    assert.deepEqual(first, { ok: false, permanent: false, detail: "1 of 2 browsers took it; HTTP 503", retryAfterMs: 7000 });
    busy = false;
    const second = await (await channel()).send(message, ever());
    assert.deepEqual(second, { ok: true, detail: "2 of 2 browsers took it" });
    assert.deepEqual(service.posts.map(({ path }) => path).sort(), ["/a", "/b", "/b"]);
  });

  it("fails for good without a subscription, and leaves another user's alone", async () => {
    await using fixture = await serve(db, { allowPrivate: true });
    await using service = await startHttp();
    await fixture.as(asBob).subscribe({ endpoint: service.url.href, keys: browser().keys });
    const delivery = await (await channel()).send(await stored(), ever());
    assert.deepEqual(delivery, { ok: false, permanent: true, detail: "the user has no push subscription" });
    assert.equal(service.posts.length, 0);
  });

  it("fails for good on an endpoint at 127.0.0.1 where private addresses are not allowed", async () => {
    await using fixture = await serve(db, { allowPrivate: true });
    await using service = await startHttp();
    await fixture.as(asAnn).subscribe({ endpoint: service.url.href, keys: browser().keys });
    const delivery = await (await channel({ allowPrivate: false })).send(await stored(), ever());
    assert.deepEqual(delivery, {
      ok: false,
      permanent: true,
      detail: "0 of 1 browsers took it; 127.0.0.1 is not on the public internet",
    });
    assert.equal(service.posts.length, 0);
  });

  it("makes its keys once, for all instances", async () => {
    const pairs = await Promise.all([vapidKeys(db, "", ""), vapidKeys(db, "", ""), vapidKeys(db, "", "")]);
    assert.equal(new Set(pairs.map(({ publicKey }) => publicKey)).size, 1);
    assert.deepEqual(await vapidKeys(db, "P", "p"), { publicKey: "P", privateKey: "p" });
  });

  it("sums deliveries up", () => {
    const ok = { ok: true, detail: "HTTP 201" } as const;
    const bad = { ok: false, permanent: true, detail: "HTTP 413" } as const;
    const gone = { ok: false, permanent: true, detail: "HTTP 410", gone: true } as const;
    assert.deepEqual(summary([ok, bad]), { ok: true, detail: "1 of 2 browsers took it; HTTP 413" });
    assert.deepEqual(summary([bad, bad]), { ok: false, permanent: true, detail: "0 of 2 browsers took it; HTTP 413" });
    assert.deepEqual(summary([gone]), { ok: false, permanent: true, detail: "the user has no push subscription" });
    assert.deepEqual(summary([]), { ok: false, permanent: true, detail: "the user has no push subscription" });
  });

  it("names every mistake of a subscription", () => {
    const good = browser().keys;
    const fields = (...args: Parameters<typeof subscriptionMistakes>) => subscriptionMistakes(...args).map(({ field }) => field);
    assert.deepEqual(fields("https://push.example/1", good.p256dh, good.auth, false), []);
    assert.deepEqual(fields("http://push.example/1", good.p256dh, good.auth, false), ["endpoint"]);
    assert.deepEqual(fields("http://push.example/1", good.p256dh, good.auth, true), []);
    assert.deepEqual(fields("file:///etc/passwd", "AA", "AA", true), ["endpoint", "keys.p256dh", "keys.auth"]);
    const offCurve = Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)]).toString("base64url");
    assert.deepEqual(fields("https://push.example/1", offCurve, good.auth, false), ["keys.p256dh"]);
  });
});
