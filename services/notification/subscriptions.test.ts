import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import type { Database } from "#mesh/storage/database.ts";
import {
  asAdmin,
  asAnn,
  asAuth,
  asBob,
  browserKeys,
  type Fixture,
  freshDatabase,
  refused,
  serve,
} from "./notification.fixture.ts";

describe("push subscriptions", () => {
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

  const subscribe = (endpoint: string, who = asAnn) => fixture.as(who).subscribe({ endpoint, keys: browserKeys });
  const endpoints = async () =>
    (await db.query<{ endpoint: string }>("SELECT endpoint FROM push_subscription ORDER BY create_time, id")).map(
      (row) => row.endpoint,
    );
  beforeEach(() => db.query("DELETE FROM push_subscription"));

  it("are replaced by the same endpoint: the same id for the same user, another for another", async () => {
    const { subscriptionId: first } = await subscribe("https://push.example/1");
    assert.equal((await subscribe("https://push.example/1")).subscriptionId, first);
    assert.notEqual((await subscribe("https://push.example/1", asBob)).subscriptionId, first);
    assert.deepEqual(await endpoints(), ["https://push.example/1"]);
  });

  it("are forgotten by their owner only", async () => {
    const { subscriptionId } = await subscribe("https://push.example/1");
    await refused(fixture.as(asBob).unsubscribe({ subscriptionId }), Code.NotFound);
    await fixture.as(asAnn).unsubscribe({ subscriptionId });
    await refused(fixture.as(asAnn).unsubscribe({ subscriptionId }), Code.NotFound);
    assert.deepEqual(await endpoints(), []);
  });

  it("are at most 50 a user: the 51st drops the first", async () => {
    for (let i = 0; i <= 50; i++) await subscribe(`https://push.example/${i}`);
    assert.deepEqual(
      await endpoints(),
      Array.from({ length: 50 }, (_, i) => `https://push.example/${i + 1}`),
    );
  });

  it("refuse http, a bad key, and a call in nobody's name", async () => {
    await refused(subscribe("http://push.example/1"), Code.InvalidArgument, "endpoint");
    await refused(
      fixture.as(asAnn).subscribe({ endpoint: "https://x.example", keys: { ...browserKeys, p256dh: "AA" } }),
      Code.InvalidArgument,
      "keys.p256dh",
    );
    await refused(subscribe("https://push.example/1", asAuth), Code.PermissionDenied);
  });

  it("get the push key, and administrators the webhook secret", async () => {
    assert.equal((await fixture.as(asAnn).getPushKey({})).publicKey, "public");
    assert.equal((await fixture.as(asAdmin).getWebhookSecret({})).secret, "whsec_c2VjcmV0");
  });
});
