import assert from "node:assert/strict";
import { anyUnpack, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { Channel, Status } from "#gen/notification/v1/message_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import {
  ann,
  asAdmin,
  asAnn,
  asAuth,
  asBob,
  bob,
  type Fixture,
  freshDatabase,
  mail,
  refused,
  serve,
  text,
  use,
} from "./notification.fixture.ts";

const verify = use("verify-email", { name: "Ann", link: "https://x/verify?t=777", token: "777" });

describe("notification service", () => {
  let db: Database;
  let fixture: Fixture;
  before(async () => {
    db = await freshDatabase();
    fixture = await serve(db);
  });
  after(async () => {
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });
  beforeEach(() => db.query("DELETE FROM notification"));

  const count = async () => (await db.query<{ n: number }>("SELECT count(*)::integer AS n FROM notification"))[0]?.n;

  describe("Send", () => {
    it("answers PENDING with what was stored, for the calling user", async () => {
      const before = Date.now();
      const { notification: sent } = await fixture.as(asAnn).send({ ...mail, content: text() });
      assert.ok(sent !== undefined);
      assert.deepEqual([sent.userId, sent.channel, sent.recipient], [ann, Channel.EMAIL, "ann@example.com"]);
      assert.deepEqual([sent.subject, sent.body, sent.template], ["Hi", "there", ""]);
      assert.deepEqual([sent.status, sent.failureReason, sent.attempts, sent.sendTime], [Status.PENDING, "", [], undefined]);
      assert.ok(Number(sent.createTime?.seconds) * 1000 >= before - 1000);
      assert.deepEqual(sent.nextAttemptTime, sent.createTime);
      const { notification: stored } = await fixture.as(asAnn).getNotification({ notificationId: sent.id });
      assert.deepEqual(stored, sent);
    });

    it("answers the same request_id and content with the same notification, and stores nothing", async () => {
      const request = { ...mail, content: verify, requestId: uuidv7() };
      const first = await fixture.as(asAnn).send(request);
      const again = await fixture.as(asAnn).send({ ...request, requestId: request.requestId.toUpperCase(), userId: ann });
      assert.deepEqual(again, first);
      assert.equal(await count(), 1);
    });

    it("refuses the same request_id with other content as ALREADY_EXISTS", async () => {
      const requestId = uuidv7();
      await fixture.as(asAnn).send({ ...mail, content: text(), requestId });
      const other = fixture.as(asAnn).send({ ...mail, content: text("other"), requestId });
      await assert.rejects(
        other,
        (error: ConnectError) => error.code === Code.AlreadyExists && error.message.includes("request_id"),
      );
      assert.equal(await count(), 1);
    });

    it("keeps the request_ids of two callers apart", async () => {
      const requestId = uuidv7();
      const one = await fixture.as(asAnn).send({ ...mail, content: text(), requestId });
      const two = await fixture.as(asBob).send({ ...mail, content: text(), requestId });
      const three = await fixture.as(asAuth).send({ ...mail, content: text(), requestId, userId: ann });
      assert.equal(new Set([one, two, three].map(({ notification }) => notification?.id)).size, 3);
    });

    it("stores one notification for 20 calls at once with one request_id", async () => {
      const request = { ...mail, content: text(), requestId: uuidv7() };
      const answers = await Promise.all(Array.from({ length: 20 }, () => fixture.as(asAnn).send(request)));
      assert.equal(new Set(answers.map(({ notification }) => notification?.id)).size, 1);
      assert.equal(await count(), 1);
    });

    it("answers a repeat after expire_time and after its template is gone", async () => {
      await fixture.as(asAdmin).createTemplate({ template: { name: "short-lived", body: "x" } });
      const request = {
        ...mail,
        content: use("short-lived", {}),
        requestId: uuidv7(),
        expireTime: timestampFromMs(Date.now() + 5000),
      };
      const first = await fixture.as(asAnn).send(request);
      await fixture.as(asAdmin).deleteTemplate({ name: "short-lived" });
      await using later = await serve(db, { clock: () => Date.now() + 60_000 });
      assert.deepEqual(await later.as(asAnn).send(request), first);
    });

    it("lets administrators and services name another user, a person not", async () => {
      await refused(fixture.as(asAnn).send({ ...mail, content: text(), userId: bob }), Code.PermissionDenied);
      for (const who of [asAdmin, asAuth]) {
        const { notification } = await fixture.as(who).send({ ...mail, content: text(), userId: bob });
        assert.equal(notification?.userId, bob);
      }
      await refused(fixture.as(asAuth).send({ ...mail, content: text() }), Code.InvalidArgument, "user_id");
      assert.equal(await count(), 2);
    });

    for (const [what, request, field] of [
      ["no channel", { recipient: "a@b.c", content: text() }, "channel"],
      ["channel 9", { ...mail, channel: 9 as Channel, content: text() }, "channel"],
      ["an email to nowhere", { ...mail, recipient: "nowhere", content: text() }, "recipient"],
      ["an email to two lines", { ...mail, recipient: "a@b.c\r\nBcc: d@e.f", content: text() }, "recipient"],
      ["an SMS to 0151", { channel: Channel.SMS, recipient: "0151", content: text() }, "recipient"],
      ["a push with a recipient", { channel: Channel.PUSH, recipient: "x", content: text() }, "recipient"],
      ["a webhook to ftp://x", { channel: Channel.WEBHOOK, recipient: "ftp://x", content: text() }, "recipient"],
      ["no content", mail, "content"],
      ["an empty body", { ...mail, content: text("") }, "text.body"],
      ["a body with U+0000", { ...mail, content: text("a\0b") }, "text.body"],
      ["a subject of two lines", { ...mail, content: text("x", "a\nb") }, "text.subject"],
      ["a body of 100,001 characters", { ...mail, content: text("x".repeat(100_001)) }, "text.body"],
      ["a request_id of 1", { ...mail, content: text(), requestId: "1" }, "request_id"],
      ["a user_id of 1", { ...mail, content: text(), userId: "1" }, "user_id"],
      ["a value with U+0000", { ...mail, content: use("welcome", { name: "\0" }) }, 'template.values["name"]'],
      ["a missing value", { ...mail, content: use("verify-email", { name: "Ann" }) }, "template.values"],
      ["an expire_time in the past", { ...mail, content: text(), expireTime: timestampFromMs(1) }, "expire_time"],
      [
        "an expire_time beyond all years",
        { ...mail, content: text(), expireTime: { seconds: 1n << 60n, nanos: 0 } },
        "expire_time",
      ],
    ] as const) {
      it(`refuses ${what} as INVALID_ARGUMENT of ${JSON.stringify(field)}`, async () => {
        await refused(fixture.as(asAnn).send(request), Code.InvalidArgument, field);
        assert.equal(await count(), 0);
      });
    }

    it("refuses an unknown template as NOT_FOUND, by name", async () => {
      const sending = fixture.as(asAnn).send({ ...mail, content: use("nope", {}) });
      await assert.rejects(
        sending,
        (error: ConnectError) => error.code === Code.NotFound && error.message.includes('template.name "nope"'),
      );
    });

    it("sends the values and shows *** for the secret ones", async () => {
      const { notification } = await fixture.as(asAnn).send({ ...mail, content: verify });
      assert.equal(notification?.template, "verify-email");
      assert.match(notification?.body ?? "", /^Hello Ann,[\s\S]*\n\*\*\*\n[\s\S]*\n\*\*\*\n/);
      assert.doesNotMatch(notification?.body ?? "", /777/);
      const [row] = await db.query<{ body: string }>("SELECT body FROM notification");
      assert.match(row?.body ?? "", /https:\/\/x\/verify\?t=777\n[\s\S]*\n777\n/);
    });

    it("leaves the subject out for SMS and webhook", async () => {
      const { notification } = await fixture
        .as(asAnn)
        .send({ channel: Channel.SMS, recipient: "+4915112345678", content: text() });
      assert.deepEqual([notification?.subject, notification?.body], ["", "there"]);
    });

    it("stores half a surrogate pair as U+FFFD", async () => {
      const { notification } = await fixture.as(asAnn).send({ ...mail, content: text("a\ud800b") });
      assert.equal(notification?.body, "a\ufffdb");
    });
  });

  describe("SendBatch", () => {
    it("accepts and refuses each alone, in order, with details", async () => {
      const requestId = uuidv7();
      const { results, succeeded, failed } = await fixture.as(asAnn).sendBatch({
        requests: [
          { ...mail, content: text("one"), requestId },
          { ...mail, recipient: "nowhere", content: text() },
          { ...mail, content: use("nope", {}) },
          { ...mail, content: text("one"), requestId },
          { ...mail, content: text("other"), requestId },
          { ...mail, content: text(), userId: bob },
          { ...mail, content: use("welcome", {}) },
          {},
          { ...mail, content: text("last") },
        ],
      });
      const shown = results.map(({ result }) => {
        if (result.case === "notification") return result.value.body;
        return result.case === "error" ? Code[result.value.code] : undefined;
      });
      const refusals = [
        "InvalidArgument",
        "NotFound",
        "one",
        "AlreadyExists",
        "PermissionDenied",
        "InvalidArgument",
        "InvalidArgument",
      ];
      assert.deepEqual(shown, ["one", ...refusals, "last"]);
      assert.deepEqual([succeeded, failed, await count()], [3, 6, 2]);
      const [first, fourth] = [results[0]?.result, results[3]?.result];
      assert.deepEqual(fourth, first);
      const missing = results[6]?.result;
      assert.ok(missing?.case === "error");
      assert.equal(missing.value.message, 'template.values: expected a value for "name", got none');
      const [detail] = missing.value.details;
      assert.ok(detail !== undefined);
      const fields = anyUnpack(detail, BadRequestSchema)?.fieldViolations.map(({ field }) => field);
      assert.deepEqual(fields, ["template.values"]);
    });

    it("takes 500 and refuses 0 and 501", async () => {
      const many = (length: number) => ({ requests: Array.from({ length }, () => ({ ...mail, content: text() })) });
      assert.equal((await fixture.as(asAnn).sendBatch(many(500))).succeeded, 500);
      await refused(fixture.as(asAnn).sendBatch(many(501)), Code.InvalidArgument, "requests");
      await refused(fixture.as(asAnn).sendBatch(many(0)), Code.InvalidArgument, "requests");
      assert.equal(await count(), 500);
    });

    it('names the recipient in the refusal of an SMS to "12"', async () => {
      const requests = [{ channel: Channel.SMS, recipient: "12", content: text() }];
      const { results } = await fixture.as(asAnn).sendBatch({ requests });
      const [refusal] = results[0]?.result.case === "error" ? results[0].result.value.details : [];
      const details = refusal === undefined ? undefined : anyUnpack(refusal, BadRequestSchema);
      assert.deepEqual(
        details?.fieldViolations.map(({ field }) => field),
        ["recipient"],
      );
    });

    it("answers a repeat of the whole batch with the same notifications", async () => {
      const requests = Array.from({ length: 5 }, () => ({ ...mail, content: text(), requestId: uuidv7() }));
      const first = await fixture.as(asAnn).sendBatch({ requests });
      assert.deepEqual(await fixture.as(asAnn).sendBatch({ requests }), first);
      assert.equal(await count(), 5);
    });

    it("stores each once when 8 batches of the same 10 in another order come at once", async () => {
      const requests = Array.from({ length: 10 }, () => ({ ...mail, content: text(), requestId: uuidv7() }));
      const batches = Array.from({ length: 8 }, (_, turn) => ({
        requests: [...requests.slice(turn), ...requests.slice(0, turn)],
      }));
      const answers = await Promise.all(batches.map((batch) => fixture.as(asAnn).sendBatch(batch)));
      assert.deepEqual(
        answers.map(({ succeeded }) => succeeded),
        Array(8).fill(10),
      );
      assert.equal(await count(), 10);
    });
  });
});
