import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import type { Database } from "#mesh/storage/database.ts";
import { failingAt } from "#mesh/storage/faulty-database.fixture.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { asAdmin, asAnn, browserKeys, type Fixture, freshDatabase, mail, refused, serve, use } from "./notification.fixture.ts";

const verify = use("verify-email", { name: "Ann", link: "https://x/verify?t=777", token: "777" });

describe("notification service under faults", () => {
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

  const template = () => ({ requestId: uuidv7(), template: { name: `made-${uuidv7()}`, body: "x" } });
  const state = async () => [
    await count(),
    ...(await db.query("SELECT name, body FROM template ORDER BY name")),
    ...(await db.query("SELECT endpoint FROM push_subscription ORDER BY endpoint")),
  ];
  const batch = () => ({ requests: [1, 2, 3].map(() => ({ ...mail, content: verify, requestId: uuidv7() })) });
  for (const [name, prepare] of [
    [
      "Send",
      () =>
        (
          (request) => (to: Fixture) =>
            to.as(asAnn).send(request)
        )({ ...mail, content: verify, requestId: uuidv7() }),
    ],
    [
      "SendBatch",
      () =>
        (
          (request) => (to: Fixture) =>
            to.as(asAnn).sendBatch(request)
        )(batch()),
    ],
    [
      "CreateTemplate",
      () =>
        (
          (request) => (to: Fixture) =>
            to.as(asAdmin).createTemplate(request)
        )(template()),
    ],
    ["UpdateTemplate", () => (to: Fixture) => to.as(asAdmin).updateTemplate({ template: { name: "welcome", body: uuidv7() } })],
    ["DeleteTemplate", () => (to: Fixture) => to.as(asAdmin).deleteTemplate({ name: "welcome" })],
    [
      "Subscribe",
      () =>
        (
          (endpoint) => (to: Fixture) =>
            to.as(asAnn).subscribe({ endpoint, keys: browserKeys })
        )(`https://push.example/${uuidv7()}`),
    ],
  ] as const) {
    it(`${name}: cut off at any statement it leaves all or nothing, and a repeat completes it`, async () => {
      await fixture.as(asAdmin).updateTemplate({ template: { name: "welcome", body: "changed" } });
      const whole = failingAt(db, 0);
      await using counted = await serve(whole.db);
      await prepare()(counted);
      assert.ok(whole.count() > 0);
      for (let n = 1; n <= whole.count(); n++) {
        await fixture.as(asAdmin).updateTemplate({ template: { name: "welcome", body: "changed" } });
        const call = prepare();
        const before = await state();
        await using broken = await serve(failingAt(db, n).db);
        await refused(call(broken), Code.Unavailable);
        assert.deepEqual(await state(), before, `statement ${n}`);
        await call(fixture);
        await call(fixture);
      }
      await fixture.as(asAdmin).deleteTemplate({ name: "welcome" });
    });
  }
});
