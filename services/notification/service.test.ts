import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Channel, Status } from "#gen/notification/v1/message_pb.ts";
import { NotificationService } from "#gen/notification/v1/notification_pb.ts";
import { ConfigError, readConfig } from "#mesh/config.ts";
import { startMesh } from "#mesh/testing.ts";
import { startHttp } from "./http-server.fixture.ts";
import { ann, eventually, mail, text } from "./notification.fixture.ts";
import { notification } from "./service.ts";
import { settings } from "./settings.ts";
import { startSmtp } from "./smtp-server.fixture.ts";
import { signature } from "./webhook.ts";

describe("notification in the mesh", () => {
  it("writes mail into HEDDLE_DATA without SMTP_URL, and shows a watcher PENDING, then SENT", async () => {
    await using mesh = await startMesh([notification]);
    const client = mesh.client(NotificationService);
    const leave = new AbortController();
    const seen: Status[] = [];
    const watching = (async () => {
      for await (const change of client.watchNotifications({ userId: ann }, { signal: leave.signal })) {
        seen.push(change.notification?.status ?? Status.UNSPECIFIED);
      }
    })().catch(() => undefined);
    // The watch says nothing before the first change, so it is asked by sending until it shows one.
    const [first] = await eventually("a change", async () => {
      await client.send({ ...mail, userId: ann, content: text() });
      return seen.includes(Status.SENT) && [...seen];
    });
    assert.ok(first === Status.PENDING || first === Status.SENT);
    leave.abort();
    await watching;
    const { notifications } = await client.listNotifications({ userId: ann });
    assert.ok(notifications.length >= 1);
    const folder = join(mesh.env.HEDDLE_DATA ?? "", "notification", "mail");
    const id = notifications[0]?.id ?? "";
    const file = await eventually("the mail", async () => (await readdir(folder)).find((name) => name.endsWith(`${id}.eml`)));
    assert.match(await readFile(join(folder, file), "utf8"), /\r\n\r\nthere/);
  });

  it("sends mail over SMTP_URL and signs webhooks with NOTIFICATION_WEBHOOK_SECRET", async () => {
    await using smtp = await startSmtp();
    await using receiver = await startHttp();
    const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
    const env = {
      SMTP_URL: smtp.url.href,
      NOTIFICATION_FROM: "Shop <shop@example.org>",
      NOTIFICATION_WEBHOOK_SECRET: secret,
      NOTIFICATION_ALLOW_PRIVATE_WEBHOOKS: "true",
    };
    await using mesh = await startMesh([notification], { env });
    const client = mesh.client(NotificationService);
    const hook = { channel: Channel.WEBHOOK, recipient: `${receiver.url}hook` };
    const { results } = await client.sendBatch({
      requests: [
        { ...mail, userId: ann, content: text() },
        { ...hook, userId: ann, content: text("{}") },
      ],
    });
    assert.equal(results.length, 2);
    await eventually("both", () => smtp.mails.length === 1 && receiver.posts.length === 1);
    assert.equal(smtp.mails[0]?.from, "shop@example.org");
    const headers = receiver.posts[0]?.headers ?? {};
    const signed = signature(secret, String(headers["webhook-id"]), Number(headers["webhook-timestamp"]), "{}");
    assert.equal(headers["webhook-signature"], signed);
    await eventually("the history", async () => {
      const { notifications } = await client.listNotifications({ userId: ann, status: Status.SENT });
      return notifications.length === 2;
    });
  });

  it("refuses a private webhook for good, with the reason in the history", async () => {
    await using receiver = await startHttp();
    await using mesh = await startMesh([notification]);
    const client = mesh.client(NotificationService);
    const hook = { channel: Channel.WEBHOOK, recipient: receiver.url.href };
    await client.send({ ...hook, userId: ann, content: text() });
    const failed = await eventually("the failure", async () => {
      const { notifications } = await client.listNotifications({ userId: ann, status: Status.FAILED });
      return notifications[0];
    });
    assert.equal(failed.failureReason, "127.0.0.1 is not on the public internet");
    assert.equal(receiver.posts.length, 0);
  });
});

describe("notification settings", () => {
  it("are complete without any environment", () => {
    const { smtpUrl, from, maxAttempts, initialMs, factor, maxMs } = readConfig({}, settings);
    assert.deepEqual([smtpUrl, from], [undefined, "Heddle <no-reply@localhost>"]);
    assert.deepEqual([maxAttempts, initialMs, factor, maxMs], [8, 1000, 4, 3_600_000]);
  });

  for (const [variable, value] of [
    ["SMTP_URL", "http://mail"],
    ["NOTIFICATION_FROM", "nobody"],
    ["NOTIFICATION_FROM", "a@b.c\nBcc: d@e.f"],
    ["NOTIFICATION_FROM", "A <a@b.c>, B <b@c.d>"],
    ["SMS_URL", "api.twilio.com"],
    ["VAPID_PUBLIC_KEY", "AA"],
    ["VAPID_PRIVATE_KEY", "AA"],
    ["VAPID_CONTACT", "ops@example.org"],
    ["NOTIFICATION_WEBHOOK_SECRET", "secret"],
    ["NOTIFICATION_ALLOW_PRIVATE_WEBHOOKS", "yes"],
    ["NOTIFICATION_MAX_ATTEMPTS", "0"],
    ["NOTIFICATION_RETRY_INITIAL", "1"],
  ] as const) {
    it(`refuse ${variable}=${JSON.stringify(value)}`, () => {
      assert.throws(
        () => readConfig({ [variable]: value }, settings),
        (error) =>
          error instanceof ConfigError && error.mistakes.length === 1 && error.mistakes[0]?.startsWith(variable) === true,
      );
    });
  }
});
