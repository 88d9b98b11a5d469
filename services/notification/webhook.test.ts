import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import type { lookup as dnsLookup } from "node:dns";
import { createServer } from "node:net";
import type { OutgoingMessage } from "./channel.ts";
import { startHttp } from "./http-server.fixture.ts";
import { isWebhookSecret, newWebhookSecret, signature, webhookChannel } from "./webhook.ts";

const message: OutgoingMessage = {
  id: "0190a0b0-0000-7000-8000-000000000001",
  userId: "0190a0b0-0000-7000-8000-00000000000a",
  recipient: "",
  subject: "",
  body: '{"paid":true}',
  createTime: 0,
};
const now = 1_777_888_999_500;
const secret = newWebhookSecret();
const how = { secret, clock: () => now };
const open = (more = {}) => webhookChannel({ ...how, allowPrivate: true, ...more });
const guarded = (lookup?: typeof dnsLookup) =>
  webhookChannel({ ...how, allowPrivate: false, ...(lookup === undefined ? {} : { lookup }) });
const ever = () => new AbortController().signal;

/** A resolver that answers each question with the next of `answers`. */
function resolver(...answers: readonly (readonly string[])[]) {
  const asked: string[] = [];
  const lookup = ((host: string, _options: unknown, done: (error: null, found: unknown) => void) => {
    const addresses = answers[Math.min(asked.push(host), answers.length) - 1] ?? [];
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );
  }) as unknown as typeof dnsLookup;
  return { asked, lookup };
}

describe("webhook", () => {
  it("posts the body as it is, signed by Standard Webhooks", async () => {
    await using server = await startHttp((response) => response.writeHead(204).end());
    const delivery = await open().send({ ...message, recipient: `${server.url}hook?a=1#f` }, ever());
    assert.deepEqual(delivery, { ok: true, detail: "HTTP 204" });
    const [post] = server.posts;
    assert.equal(post?.path, "/hook?a=1");
    assert.equal(post?.body.toString(), message.body);
    assert.equal(post?.headers["content-type"], "application/json");
    assert.equal(post?.headers["content-length"], String(message.body.length));
    assert.equal(post?.headers["webhook-id"], message.id);
    assert.equal(post?.headers["webhook-timestamp"], "1777888999");
    const key = Buffer.from(secret.replace("whsec_", ""), "base64");
    const expected = createHmac("sha256", key).update(`${message.id}.1777888999.${message.body}`).digest("base64");
    assert.equal(post?.headers["webhook-signature"], `v1,${expected}`);
    assert.equal(post?.headers["idempotency-key"], message.id);
  });

  it("signs the specification's own example", () => {
    const body = '{"test": 2432232314}';
    const signed = signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body);
    assert.equal(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  });

  it("sends what is no JSON as text", async () => {
    await using server = await startHttp();
    await open().send({ ...message, recipient: server.url.href, body: "paid ü" }, ever());
    assert.equal(server.posts[0]?.headers["content-type"], "text/plain; charset=utf-8");
    assert.equal(server.posts[0]?.body.toString(), "paid ü");
  });

  for (const host of [
    ...["127.0.0.1", "127.1", "0x7f000001", "2130706433", "017700000001", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]"],
    ...[
      "[::ffff:7f00:1]",
      "10.0.0.1",
      "169.254.169.254",
      "100.64.0.1",
      "[fd00::1]",
      "[64:ff9b::7f00:1]",
      "224.0.0.1",
      "localhost",
    ],
  ]) {
    it(`refuses http://${host} for good and sends nothing`, async () => {
      await using server = await startHttp();
      const delivery = await guarded().send({ ...message, recipient: `http://${host}:${server.port}/` }, ever());
      assert.deepEqual({ ok: delivery.ok, permanent: !delivery.ok && delivery.permanent }, { ok: false, permanent: true });
      assert.match(delivery.detail, /is not on the public internet$/);
      assert.equal(server.posts.length, 0);
    });
  }

  it("refuses a name that leads to 127.0.0.1 and 10.0.0.1", async () => {
    await using server = await startHttp();
    const { lookup } = resolver(["127.0.0.1", "10.0.0.1"]);
    const delivery = await guarded(lookup).send({ ...message, recipient: `http://rebind.example:${server.port}/` }, ever());
    assert.deepEqual(delivery, { ok: false, permanent: true, detail: "rebind.example is not on the public internet" });
    assert.equal(server.posts.length, 0);
  });

  it("asks for a name once, so that a second answer of 127.0.0.1 is never seen", async () => {
    await using server = await startHttp();
    // The first answer is public by the rules and leads nowhere here.
    const { asked, lookup } = resolver(["2001:4860:ffff::1"], ["127.0.0.1"]);
    const channel = webhookChannel({ ...how, allowPrivate: false, lookup, timeoutMs: 300 });
    const delivery = await channel.send({ ...message, recipient: `http://rebind.example:${server.port}/` }, ever());
    assert.equal(delivery.ok, false);
    assert.deepEqual(asked, ["rebind.example"]);
    assert.equal(server.posts.length, 0);
  });

  it("leaves 127.0.0.1 out where a name leads to it and to a public address", async () => {
    await using server = await startHttp();
    const { lookup } = resolver(["127.0.0.1", "2001:4860:ffff::1"]);
    const channel = webhookChannel({ ...how, allowPrivate: false, lookup, timeoutMs: 300 });
    const delivery = await channel.send({ ...message, recipient: `http://both.example:${server.port}/` }, ever());
    assert.equal(delivery.ok, false);
    assert.equal(server.posts.length, 0);
  });

  it("follows no redirect", async () => {
    await using target = await startHttp();
    await using server = await startHttp((response) => response.writeHead(307, { location: target.url.href }).end());
    const delivery = await open().send({ ...message, recipient: server.url.href }, ever());
    assert.deepEqual(delivery, { ok: false, permanent: true, detail: "HTTP 307" });
    assert.equal(target.posts.length, 0);
  });

  it("reads 4096 bytes of an answer without end, and takes its 200", async () => {
    let written = 0;
    await using server = await startHttp((response) => {
      const more = () => {
        while (!response.destroyed && response.write("x".repeat(1024))) written += 1024;
      };
      response.on("drain", more).on("error", () => {});
      more();
    });
    const delivery = await open().send({ ...message, recipient: server.url.href }, ever());
    assert.equal(delivery.ok, true);
    assert.ok(written < 50_000_000);
  });

  it("gives a silent receiver up after its time", async () => {
    await using server = await startHttp(() => {});
    const delivery = await open({ timeoutMs: 100 }).send({ ...message, recipient: server.url.href }, ever());
    assert.deepEqual(delivery, { ok: false, permanent: false, detail: "no answer within 0.1 s" });
  });

  it("gives a receiver that only greets byte by byte up after its time", async () => {
    await using sockets = new AsyncDisposableStack();
    const server = createServer((socket) => {
      const drip = setInterval(() => socket.write("H"), 20);
      socket.on("close", () => clearInterval(drip)).on("error", () => {});
      sockets.defer(() => void socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    sockets.defer(() => new Promise<void>((resolve) => void server.close(() => resolve())));
    const { port } = server.address() as { port: number };
    const delivery = await open({ timeoutMs: 200 }).send({ ...message, recipient: `http://127.0.0.1:${port}/` }, ever());
    assert.equal(delivery.ok, false);
  });

  it("ends at once when the signal aborts", async () => {
    await using server = await startHttp(() => {});
    const cut = new AbortController();
    const sending = open().send({ ...message, recipient: server.url.href }, cut.signal);
    setTimeout(() => cut.abort(), 30);
    assert.equal((await sending).ok, false);
  });

  for (const url of ["http://", "http://[::1", "http://a b/", "http://[fe80::1%25eth0]/"]) {
    it(`fails for good on ${JSON.stringify(url)}`, async () => {
      const delivery = await guarded().send({ ...message, recipient: url }, ever());
      assert.deepEqual(delivery, { ok: false, permanent: true, detail: "recipient is not a URL" });
    });
  }

  it("knows a secret: whsec_ and 24 to 64 bytes in base64", () => {
    assert.equal(isWebhookSecret(secret), true);
    assert.equal(isWebhookSecret(`whsec_${Buffer.alloc(23).toString("base64")}`), false);
    assert.equal(isWebhookSecret(`whsec_${Buffer.alloc(65).toString("base64")}`), false);
    assert.equal(isWebhookSecret(Buffer.alloc(32).toString("base64")), false);
  });
});
