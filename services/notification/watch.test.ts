import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { metrics } from "@opentelemetry/api";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { failingAt } from "#mesh/storage/faulty-database.fixture.ts";
import type { Delivery } from "./channel.ts";
import { statusNameOf } from "./handlers.ts";
import {
  ann,
  asAdmin,
  asAnn,
  asBob,
  bob,
  channelsWith,
  eventually,
  type Fixture,
  freshDatabase,
  mail,
  recorder,
  refused,
  serve,
  silent,
  text,
  urlOf,
} from "./notification.fixture.ts";
import type { Who } from "./ownership.ts";
import { startSender } from "./sender.ts";

const busy: Delivery = { ok: false, permanent: false, detail: "HTTP 503" };
const policy = { maxAttempts: 8, initialMs: 10, factor: 1, maxMs: 10 };

describe("notification watch", () => {
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

  /** Watches until `enough`, then cancels, as a client that leaves does; each change as `STATUS/attempts`. */
  async function watch(on: Fixture, who: Who, userId: string, enough: (seen: string[]) => boolean, cut = new AbortController()) {
    const seen: string[] = [];
    try {
      for await (const { notification } of on.as(who).watchNotifications({ userId }, { signal: cut.signal })) {
        assert.ok(notification !== undefined);
        seen.push(`${statusNameOf[notification.status]?.toUpperCase()}/${notification.attempts.length}`);
        if (enough(seen)) break;
      }
      return seen;
    } finally {
      cut.abort();
    }
  }

  const sending = (database: Database, ...answers: Delivery[]) => {
    const channels = channelsWith({ email: recorder(...answers) });
    const how = { policy, log: silent, meter: metrics.getMeter("test"), clock: Date.now, pollMs: 50 };
    return startSender({ db: database, channels, ...how });
  };

  it("shows every state in order, also when the next one has come already: PENDING/0, PENDING/1, PENDING/2, SENT/3", async () => {
    const reading = watch(fixture, asAnn, ann, (seen) => seen.at(-1)?.startsWith("SENT") === true);
    await eventually("the watch", () => fixture.changes.readers(ann) === 1);
    await fixture.as(asAnn).send({ ...mail, content: text() });
    await using _ = sending(db, busy, busy, { ok: true, detail: "taken" });
    assert.deepEqual(await reading, ["PENDING/0", "PENDING/1", "PENDING/2", "SENT/3"]);
  });

  it("shows changes that another instance made", async () => {
    await using other = await openDatabase({ url: urlOf(db), service: "notification", log: silent });
    await using elsewhere = await serve(other);
    const reading = watch(elsewhere, asAdmin, ann, (seen) => seen.length === 1);
    await eventually("the watch", () => elsewhere.changes.readers(ann) === 1);
    await fixture.as(asAnn).send({ ...mail, content: text() });
    assert.deepEqual(await reading, ["PENDING/0"]);
    await eventually("the end", () => elsewhere.changes.readers(ann) === 0);
  });

  it("shows a user nothing of another's, nor of before", async () => {
    await fixture.as(asAnn).send({ ...mail, content: text("before") });
    const reading = watch(fixture, asAnn, ann, (seen) => seen.length === 1);
    await eventually("the watch", () => fixture.changes.readers(ann) === 1);
    await fixture.as(asBob).send({ ...mail, content: text("bob's") });
    await fixture.as(asAnn).send({ ...mail, content: text("ann's") });
    assert.deepEqual(await reading, ["PENDING/0"]);
  });

  it("is refused for another user", async () => {
    await refused(
      watch(fixture, asAnn, bob, () => true),
      Code.PermissionDenied,
    );
  });

  it("ends when the caller's signal aborts, and leaves nothing behind", async () => {
    const cut = new AbortController();
    const reading = watch(fixture, asAnn, ann, () => false, cut);
    await eventually("the watch", () => fixture.changes.readers(ann) === 1);
    cut.abort();
    await refused(reading, Code.Canceled);
    await eventually("the end", () => fixture.changes.readers(ann) === 0);
  });

  it("is UNAVAILABLE at once while the database is away", async () => {
    await using broken = await serve(failingAt(db, 1).db);
    await refused(
      watch(broken, asAnn, ann, () => true),
      Code.Unavailable,
    );
    assert.equal(broken.changes.readers(ann), 0);
  });

  it("ends a reader that is more than 3 changes behind with RESOURCE_EXHAUSTED", async () => {
    await using small = await serve(db, { mailboxSize: 3 });
    const slow = small.changes.watch(ann, new AbortController().signal, ({ body }) => body)[Symbol.asyncIterator]();
    await eventually("the watch", () => small.changes.readers(ann) === 1);
    for (const body of ["1", "2", "3", "4"]) await fixture.as(asAnn).send({ ...mail, content: text(body) });
    await eventually("the overflow", () => small.changes.readers(ann) === 0);
    await refused(slow.next(), Code.ResourceExhausted);
  });

  it("ends with UNAVAILABLE when the connection that listens was lost, and a new watch works", async () => {
    const reading = watch(fixture, asAnn, ann, () => false).catch(ConnectError.from);
    await eventually("the watch", () => fixture.changes.readers(ann) === 1);
    await db.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'listen%'",
    );
    const error = await reading;
    assert.ok(error instanceof ConnectError);
    assert.equal(Code[error.code], "Unavailable");
    const again = watch(fixture, asAnn, ann, (seen) => seen.length === 1);
    await eventually("the watch", () => fixture.changes.readers(ann) === 1);
    await fixture.as(asAnn).send({ ...mail, content: text() });
    assert.deepEqual(await again, ["PENDING/0"]);
  });
});
