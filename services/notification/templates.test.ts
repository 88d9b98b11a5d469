import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import type { CreateTemplateRequestSchema } from "#gen/notification/v1/notification_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { asAdmin, asAnn, type Fixture, freshDatabase, mail, refused, serve, use } from "./notification.fixture.ts";

describe("notification templates", () => {
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

  const admin = () => fixture.as(asAdmin);

  it("come with verify-email, welcome and password-changed", async () => {
    const { templates } = await fixture.as(asAnn).listTemplates({});
    const builtIn = templates.filter((template) => template.builtIn).map(({ name }) => name);
    assert.deepEqual(builtIn, ["password-changed", "verify-email", "welcome"]);
    for (const name of builtIn) {
      const values = { name: "Ann", token: "1", link: "https://x" };
      assert.ok((await fixture.as(asAnn).send({ ...mail, content: use(name, values) })).notification !== undefined);
    }
  });

  it("are created, listed in pages, changed in part, and removed", async () => {
    const { template } = await admin().createTemplate({
      template: { name: "z-one", subject: "s", body: "b", secretValues: ["code"], builtIn: true },
    });
    assert.deepEqual([template?.builtIn, template?.secretValues], [false, ["code"]]);
    await admin().createTemplate({ template: { name: "z-two", body: "b" } });
    const pages = [];
    for (let pageToken = ""; ; ) {
      const page = await admin().listTemplates({ pageSize: 2, pageToken });
      pages.push(page.templates.map(({ name }) => name));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    assert.deepEqual(pages, [["password-changed", "verify-email"], ["welcome", "z-one"], ["z-two"]]);
    const changed = await admin().updateTemplate({
      template: { name: "z-one", subject: "new" },
      updateMask: { paths: ["subject", "name"] },
    });
    assert.deepEqual([changed.template?.subject, changed.template?.body, changed.template?.secretValues], ["new", "b", ["code"]]);
    const all = await admin().updateTemplate({ template: { name: "z-one", body: "b2" } });
    assert.deepEqual([all.template?.subject, all.template?.body, all.template?.secretValues], ["", "b2", []]);
    for (const name of ["z-one", "z-two"]) await admin().deleteTemplate({ name });
    await refused(admin().getTemplate({ name: "z-one" }), Code.NotFound);
    await refused(admin().deleteTemplate({ name: "z-one" }), Code.NotFound);
    await refused(admin().updateTemplate({ template: { name: "z-one", body: "b" } }), Code.NotFound);
  });

  it("go back to their first text when a built-in one is deleted", async () => {
    const { template: first } = await admin().getTemplate({ name: "welcome" });
    await admin().updateTemplate({ template: { name: "welcome", subject: "", body: "bye" } });
    await admin().deleteTemplate({ name: "welcome" });
    const { template: again } = await admin().getTemplate({ name: "welcome" });
    assert.deepEqual([again?.subject, again?.body, again?.builtIn], [first?.subject, first?.body, true]);
  });

  it("leave what was sent as it was", async () => {
    const { notification: sent } = await fixture.as(asAnn).send({ ...mail, content: use("welcome", { name: "Ann" }) });
    await admin().updateTemplate({ template: { name: "welcome", body: "changed {{name}}" } });
    const { notification } = await fixture.as(asAnn).getNotification({ notificationId: sent?.id ?? "" });
    assert.equal(notification?.body, sent?.body);
    await admin().deleteTemplate({ name: "welcome" });
  });

  it("refuse a taken name, and are idempotent by request_id", async () => {
    await refused(admin().createTemplate({ template: { name: "welcome", body: "x" } }), Code.AlreadyExists);
    const request = { requestId: uuidv7(), template: { name: "y-one", body: "b" } };
    const first = await admin().createTemplate(request);
    assert.deepEqual(await admin().createTemplate(request), first);
    const other = admin().createTemplate({ ...request, template: { name: "y-two", body: "b" } });
    await assert.rejects(
      other,
      (error: ConnectError) => error.code === Code.AlreadyExists && error.message.includes("request_id"),
    );
    await admin().deleteTemplate({ name: "y-one" });
  });

  const bad: readonly [string, MessageInitShape<typeof CreateTemplateRequestSchema>, string][] = [
    ["name Welcome", { template: { name: "Welcome", body: "x" } }, "template.name"],
    ["no body", { template: { name: "x-one" } }, "template.body"],
    ["no template", { requestId: uuidv7() }, "template"],
    ["a subject of two lines", { template: { name: "x-one", subject: "a\nb", body: "x" } }, "template.subject"],
    ["a secret value named a b", { template: { name: "x-one", body: "x", secretValues: ["a b"] } }, "template.secret_values[0]"],
  ];
  for (const [what, request, field] of bad) {
    it(`refuse ${what} as INVALID_ARGUMENT of ${field}`, async () => {
      await refused(admin().createTemplate(request), Code.InvalidArgument, field);
    });
  }

  it("refuse an update of id, and one that empties the body", async () => {
    const change = { template: { name: "welcome", subject: "x" } };
    await refused(admin().updateTemplate({ ...change, updateMask: { paths: ["id"] } }), Code.InvalidArgument, "update_mask");
    await refused(admin().updateTemplate({ ...change, updateMask: { paths: ["body"] } }), Code.InvalidArgument, "template.body");
    await refused(admin().updateTemplate(change), Code.InvalidArgument, "template.body");
  });

  for (const parts of [["a", "b"], ["\0"]]) {
    it(`refuse a page_token made of ${JSON.stringify(parts)}`, async () => {
      const pageToken = Buffer.from(JSON.stringify(parts)).toString("base64url");
      await refused(fixture.as(asAnn).listTemplates({ pageToken }), Code.InvalidArgument, "page_token");
    });
  }
});
