import assert from "node:assert/strict";
import type { OutgoingMessage } from "./channel.ts";
import { startHttp } from "./http-server.fixture.ts";
import { smsChannel } from "./sms.ts";

const message: OutgoingMessage = {
  id: "0190a0b0-0000-7000-8000-000000000001",
  userId: "0190a0b0-0000-7000-8000-00000000000a",
  recipient: "+4915112345678",
  subject: "",
  body: "Code: 1 & 2 = ü",
  createTime: 0,
};
const now = Date.parse("2026-05-04T10:00:00Z");
const channel = (url: URL | undefined) =>
  smsChannel({ url, account: "AC1", token: "secret:1", from: "+15550100", clock: () => now });
const ever = () => new AbortController().signal;

describe("sms", () => {
  it("posts Twilio's form with Basic authentication to Twilio's path", async () => {
    await using server = await startHttp((response) => response.writeHead(201).end('{"sid":"SM1","status":"queued"}'));
    const delivery = await channel(server.url).send(message, ever());
    assert.deepEqual(delivery, { ok: true, detail: 'HTTP 201: {"sid":"SM1","status":"queued"}' });
    const [post] = server.posts;
    assert.equal(post?.path, "/2010-04-01/Accounts/AC1/Messages.json");
    assert.equal(post?.headers.authorization, `Basic ${Buffer.from("AC1:secret:1").toString("base64")}`);
    assert.equal(post?.headers["content-type"], "application/x-www-form-urlencoded");
    assert.equal(post?.headers["idempotency-key"], message.id);
    const form = new URLSearchParams(post?.body.toString());
    assert.deepEqual(
      [...form],
      [
        ["To", "+4915112345678"],
        ["From", "+15550100"],
        ["Body", "Code: 1 & 2 = ü"],
      ],
    );
  });

  it("posts to the URL itself when it has a path", async () => {
    await using server = await startHttp();
    await channel(new URL("/gateway/send?x=1", server.url)).send(message, ever());
    assert.equal(server.posts[0]?.path, "/gateway/send?x=1");
  });

  it("fails for good on 400 with the provider's words", async () => {
    await using server = await startHttp((response) => response.writeHead(400).end('{"code":21211,"message":"invalid To"}'));
    const delivery = await channel(server.url).send(message, ever());
    assert.deepEqual(delivery, { ok: false, permanent: true, detail: 'HTTP 400: {"code":21211,"message":"invalid To"}' });
  });

  it("asks for 30 s on 429 with Retry-After: 30", async () => {
    await using server = await startHttp((response) => response.writeHead(429, { "retry-after": "30" }).end());
    const delivery = await channel(server.url).send(message, ever());
    assert.deepEqual(delivery, { ok: false, permanent: false, detail: "HTTP 429", retryAfterMs: 30_000 });
  });

  it("may heal from 503", async () => {
    await using server = await startHttp((response) => response.writeHead(503).end());
    assert.deepEqual(await channel(server.url).send(message, ever()), { ok: false, permanent: false, detail: "HTTP 503" });
  });

  it("fails for good while SMS_URL is not set", async () => {
    assert.deepEqual(await channel(undefined).send(message, ever()), {
      ok: false,
      permanent: true,
      detail: "SMS_URL is not set",
    });
  });
});
