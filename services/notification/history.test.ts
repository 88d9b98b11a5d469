import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { Channel, Status } from "#gen/notification/v1/message_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { channelNameOf, statusNameOf } from "./handlers.ts";
import {
  ann,
  asAdmin,
  asAnn,
  asAuth,
  asBob,
  type Fixture,
  freshDatabase,
  mail,
  refused,
  serve,
  text,
} from "./notification.fixture.ts";

describe("notification history", () => {
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

  const send = async (body: string, more: object = {}) =>
    (await fixture.as(asAnn).send({ ...mail, content: text(body), ...more })).notification?.id;
  const bodies = async (request: object, who = asAnn) => {
    const { notifications, nextPageToken } = await fixture.as(who).listNotifications({ userId: ann, ...request });
    return { bodies: notifications.map(({ body }) => body), nextPageToken };
  };

  it("shows the latest first, in pages of 2 of 5, none twice", async () => {
    for (const body of ["1", "2", "3", "4", "5"]) await send(body);
    const one = await bodies({ pageSize: 2 });
    await send("6");
    const two = await bodies({ pageSize: 2, pageToken: one.nextPageToken });
    const three = await bodies({ pageSize: 2, pageToken: two.nextPageToken });
    assert.deepEqual([one.bodies, two.bodies, three.bodies], [["5", "4"], ["3", "2"], ["1"]]);
    assert.equal(three.nextPageToken, "");
  });

  it("pages through notifications of the same millisecond", async () => {
    await using frozen = await serve(db, { clock: () => 1_777_888_999_123 });
    const later = timestampFromMs(1_999_999_999_000);
    for (const body of ["1", "2", "3"]) await frozen.as(asAnn).send({ ...mail, content: text(body), expireTime: later });
    const one = await bodies({ pageSize: 2 });
    const two = await bodies({ pageSize: 2, pageToken: one.nextPageToken });
    assert.deepEqual([one.bodies, two.bodies, two.nextPageToken], [["3", "2"], ["1"], ""]);
  });

  it("shows only the channel and the status that are asked for", async () => {
    await send("mail");
    await send("text", { channel: Channel.SMS, recipient: "+4915112345678" });
    await db.query(
      "UPDATE notification SET status = 'failed', failure_reason = 'x', next_attempt_time = NULL WHERE channel = 'sms'",
    );
    assert.deepEqual((await bodies({ channel: Channel.SMS })).bodies, ["text"]);
    assert.deepEqual((await bodies({ status: Status.PENDING })).bodies, ["mail"]);
    assert.deepEqual((await bodies({ status: Status.FAILED, channel: Channel.EMAIL })).bodies, []);
  });

  it("ends a page before 2 MB of text, and goes on in the next", async () => {
    for (let i = 0; i < 25; i++) await send(String(i).padEnd(100_000, "x"));
    const one = await bodies({ pageSize: 1000 });
    assert.equal(one.bodies.length, 19);
    const two = await bodies({ pageSize: 1000, pageToken: one.nextPageToken });
    assert.equal(two.bodies.length, 6);
    assert.equal(two.nextPageToken, "");
  });

  for (const pageToken of [
    "x",
    "e30",
    Buffer.from('["1"]').toString("base64url"),
    Buffer.from('["x","y"]').toString("base64url"),
  ]) {
    it(`refuses the page_token ${JSON.stringify(pageToken)}`, async () => {
      await refused(bodies({ pageToken }), Code.InvalidArgument, "page_token");
    });
  }

  it("refuses another user's, except to administrators and services", async () => {
    const id = (await send("mine")) ?? "";
    await refused(bodies({}, asBob), Code.PermissionDenied);
    await refused(fixture.as(asBob).getNotification({ notificationId: id }), Code.NotFound);
    await refused(fixture.as(asAnn).getNotification({ notificationId: uuidv7() }), Code.NotFound);
    for (const who of [asAdmin, asAuth]) {
      assert.deepEqual((await bodies({}, who)).bodies, ["mine"]);
      assert.equal((await fixture.as(who).getNotification({ notificationId: id })).notification?.body, "mine");
    }
  });

  it("knows every channel and status of the contract, and nothing beyond", () => {
    for (const [of, names] of [
      [Channel, channelNameOf],
      [Status, statusNameOf],
    ] as const) {
      const numbers = Object.values(of).filter((value) => typeof value === "number");
      for (const number of [...numbers, 99]) assert.equal(number in names, number !== 0 && number !== 99);
    }
  });
});
