import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { metrics } from "@opentelemetry/api";
import { unavailable } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { acceptAll, type Draft } from "./accept.ts";
import { followChanges } from "./changes.ts";
import type { Channel, Delivery } from "./channel.ts";
import { ann, channelsWith, eventually, freshDatabase, recorder, silent } from "./notification.fixture.ts";
import type { ChannelName, Notification } from "./notification.ts";
import { type SenderOptions, startSender } from "./sender.ts";
import { claimDue, getNotification, recordAttempt } from "./store.ts";

const policy = { maxAttempts: 3, initialMs: 1000, factor: 4, maxMs: 3_600_000 };
const meter = metrics.getMeter("test");
const busy: Delivery = { ok: false, permanent: false, detail: "HTTP 503" };

describe("sender", () => {
  let db: Database;
  let now: number;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db[Symbol.asyncDispose]());
  beforeEach(async () => {
    now = Date.parse("2026-05-04T10:00:00Z");
    await db.query("DELETE FROM notification");
  });

  async function store(channel: ChannelName = "email", more: Partial<Draft> = {}): Promise<string> {
    const content = { kind: "text", subject: "Hi", body: "there" } as const;
    const draft = {
      requestId: undefined,
      userId: ann,
      channel,
      recipient: "ann@example.com",
      content,
      expireTime: undefined,
      ...more,
    };
    const [result] = await acceptAll(db, `user:${ann}`, [draft], now);
    assert.ok(result !== undefined && "id" in result);
    return result.id;
  }

  /** A sender that never polls by itself: it looks when told. */
  function start(channels: Partial<Record<ChannelName, Channel>>, more: Partial<SenderOptions> = {}) {
    const quiet = { log: silent, meter, clock: () => now, random: () => 0.5, pollMs: 600_000, graceMs: 100 };
    return startSender({ db, channels: channelsWith(channels), policy, ...quiet, ...more });
  }

  const when = (id: string, good: (one: Notification) => boolean) =>
    eventually(`notification ${id}`, async () => {
      const one = await getNotification(db, id);
      return one !== undefined && good(one) && one;
    });
  const ended = (count: number) => (one: Notification) => one.attempts.length === count && one.nextAttemptTime !== now;

  it("sends what waits, once, and records the attempt", async () => {
    const id = await store();
    const email = recorder({ ok: true, detail: "250 queued" });
    await using _ = start({ email });
    const sent = await when(id, (one) => one.status === "sent");
    assert.deepEqual(sent.attempts, [{ time: now, success: true, detail: "250 queued" }]);
    assert.deepEqual([sent.sendTime, sent.nextAttemptTime, sent.failureReason], [now, undefined, ""]);
    assert.deepEqual(
      email.sent.map((message) => message.id),
      [id],
    );
    const [message] = email.sent;
    assert.deepEqual(
      [message?.userId, message?.recipient, message?.subject, message?.body],
      [ann, "ann@example.com", "Hi", "there"],
    );
  });

  it("sends each of the four channels by its own", async () => {
    const names = ["email", "sms", "push", "webhook"] as const;
    const channels = channelsWith({});
    await using _ = start(channels);
    for (const name of names) {
      const id = await store(name);
      _.wake();
      await when(id, (one) => one.status === "sent");
      assert.deepEqual(
        (channels[name] as ReturnType<typeof recorder>).sent.map((message) => message.id),
        [id],
      );
    }
  });

  it("tries again after 1 s and 4 s, and gives up after the third attempt", async () => {
    const id = await store();
    const email = recorder(busy);
    await using sender = start({ email });
    const first = await when(id, ended(1));
    assert.deepEqual([first.status, first.nextAttemptTime], ["pending", now + 1000]);
    now += 1000;
    sender.wake();
    const second = await when(id, ended(2));
    assert.equal(second.nextAttemptTime, now + 4000);
    now += 3999;
    sender.wake();
    now += 1;
    sender.wake("email");
    const third = await when(id, ended(3));
    assert.deepEqual([third.status, third.failureReason], ["failed", "gave up after 3 attempts: HTTP 503"]);
    assert.deepEqual(
      third.attempts.map(({ success, detail }) => [success, detail]),
      Array(3).fill([false, "HTTP 503"]),
    );
    assert.equal(third.nextAttemptTime, undefined);
  });

  it("comes back by itself when the wait of 1 s is over", async () => {
    const real = Date.now();
    now = real;
    const id = await store();
    const email = recorder(busy, { ok: true, detail: "taken" });
    const fast = { ...policy, initialMs: 40 };
    await using _ = start({ email }, { clock: Date.now, policy: fast });
    const sent = await when(id, (one) => one.status === "sent");
    assert.equal(sent.attempts.length, 2);
  });

  it("fails at once for good, with the reason", async () => {
    const id = await store();
    await using _ = start({ email: recorder({ ok: false, permanent: true, detail: "550 no such user" }) });
    const failed = await when(id, (one) => one.status === "failed");
    assert.deepEqual([failed.failureReason, failed.attempts.length], ["550 no such user", 1]);
  });

  it("takes a channel that throws for a failure that may heal", async () => {
    const id = await store();
    await using _ = start({ email: { send: () => Promise.reject(new Error("defect")) } });
    const later = await when(id, ended(1));
    assert.deepEqual([later.status, later.attempts[0]?.detail], ["pending", "defect"]);
  });

  it("fails what expired before its turn without an attempt", async () => {
    const id = await store("email", { expireTime: now + 1000 });
    now += 1000;
    const email = recorder();
    await using _ = start({ email });
    const failed = await when(id, (one) => one.status === "failed");
    assert.equal(failed.failureReason, "expired at 2026-05-04T10:00:01.000Z before it could be sent");
    assert.deepEqual([failed.attempts, email.sent], [[], []]);
  });

  it("never claims the same one twice: 60 notifications, 3 senders", async () => {
    const ids = await Promise.all(Array.from({ length: 60 }, () => store()));
    const email = recorder();
    await using senders = new AsyncDisposableStack();
    for (let i = 0; i < 3; i++) senders.use(start({ email }, { concurrency: 4 }));
    for (const id of ids) await when(id, (one) => one.status === "sent");
    assert.deepEqual(email.sent.map((message) => message.id).sort(), ids.toSorted());
  });

  it("has at most 2 attempts under way on a channel where concurrency is 2, and a stuck one holds up no other channel", async () => {
    let underWay = 0;
    let most = 0;
    const gate = Promise.withResolvers<void>();
    const email: Channel = {
      async send() {
        most = Math.max(most, ++underWay);
        await gate.promise;
        underWay--;
        return { ok: true, detail: "" };
      },
    };
    const mails = [await store(), await store(), await store(), await store(), await store()];
    const text = await store("sms");
    await using _ = start({ email }, { concurrency: 2 });
    await when(text, (one) => one.status === "sent");
    gate.resolve();
    for (const id of mails) await when(id, (one) => one.status === "sent");
    assert.equal(most, 2);
  });

  it("sends again what a sender held that died, after its lease of 60 s, and records the lost attempt", async () => {
    const id = await store();
    // Claimed, and never heard of again: what a kill -9 leaves.
    const claim = { channel: "email", limit: 8, now, leaseMs: 60_000, leaseId: randomUUID() } as const;
    assert.equal((await claimDue(db, claim)).length, 1);
    const died = now;
    const email = recorder();
    await using sender = start({ email });
    now += 59_999;
    sender.wake();
    await eventually("a look", async () => (await claimDue(db, { ...claim, now })).length === 0);
    assert.deepEqual(email.sent, []);
    now += 1;
    sender.wake();
    const sent = await when(id, (one) => one.status === "sent");
    assert.deepEqual(sent.attempts, [
      { time: died, success: false, detail: "no outcome: the sender stopped during the attempt" },
      { time: now, success: true, detail: "taken" },
    ]);
  });

  it("gives up on a notification whose senders died in 3 attempts of 3", async () => {
    const id = await store();
    for (let i = 0; i < 3; i++) {
      await claimDue(db, { channel: "email", limit: 1, now, leaseMs: 1000, leaseId: randomUUID() });
      now += 1000;
    }
    const email = recorder();
    await using _ = start({ email });
    const failed = await when(id, (one) => one.status === "failed");
    assert.equal(failed.failureReason, "gave up after 3 attempts");
    assert.equal(failed.attempts.length, 3);
    assert.deepEqual(email.sent, []);
  });

  it("does not record a failure over another sender's claim, but does record a success", async () => {
    const id = await store();
    const [lost] = await claimDue(db, { channel: "email", limit: 1, now, leaseMs: 1000, leaseId: randomUUID() });
    now += 1000;
    const [mine] = await claimDue(db, { channel: "email", limit: 1, now, leaseMs: 1000, leaseId: randomUUID() });
    assert.ok(lost !== undefined && mine !== undefined);
    const failure = {
      success: false,
      detail: "x",
      status: "failed",
      failureReason: "x",
      now,
      nextAttemptTime: undefined,
    } as const;
    assert.equal(await recordAttempt(db, lost, failure), false);
    assert.equal((await getNotification(db, id))?.status, "pending");
    assert.equal(await recordAttempt(db, lost, { ...failure, success: true, status: "sent", failureReason: "" }), true);
    assert.equal((await getNotification(db, id))?.status, "sent");
    assert.equal(await recordAttempt(db, mine, failure), false);
    assert.equal((await getNotification(db, id))?.status, "sent");
  });

  it("lets an attempt under way finish at the end, and cuts short one that does not within the grace", async () => {
    const quick = await store("email");
    const stuck = await store("sms");
    const gate = Promise.withResolvers<void>();
    const began = { email: Promise.withResolvers<void>(), sms: Promise.withResolvers<void>() };
    const email: Channel = {
      async send() {
        began.email.resolve();
        await gate.promise;
        return { ok: true, detail: "taken" };
      },
    };
    const sms: Channel = {
      send: (_message, signal) => {
        began.sms.resolve();
        return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      },
    };
    const sender = start({ email, sms });
    await Promise.all([began.email.promise, began.sms.promise]);
    const stopped = sender[Symbol.asyncDispose]();
    gate.resolve();
    await stopped;
    assert.equal((await getNotification(db, quick))?.status, "sent");
    const cut = await getNotification(db, stuck);
    assert.deepEqual([cut?.status, cut?.nextAttemptTime], ["pending", now]);
    assert.deepEqual(cut?.attempts, [{ time: now, success: false, detail: "the service stopped during the attempt" }]);
    // Given back: the next sender need not wait for the lease.
    await using _ = start({});
    await when(stuck, (one) => one.status === "sent");
  });

  it("goes on by itself when the database is back: neither the claim nor the record is lost", async () => {
    const id = await store();
    let away = 3;
    const flaky: Database = {
      ...db,
      query: async <R extends object>(sql: string, params?: readonly unknown[]) => {
        if (away-- > 0 && away !== 1) throw unavailable("the database is away", 1000);
        return db.query<R>(sql, params);
      },
      transaction: (work, options) => db.transaction(work, options),
      listen: (...args) => db.listen(...args),
      check: (signal) => db.check(signal),
    };
    const email = recorder();
    await using _ = start({ email }, { db: flaky });
    const sent = await when(id, (one) => one.status === "sent");
    assert.equal(sent.attempts.length, 1);
    assert.equal(email.sent.length, 1);
  });

  it("is woken by NOTIFY: sent in less than its poll of 10 min, by another instance", async () => {
    const sender = start({ email: recorder() });
    await using _ = sender;
    await using changes = await followChanges({ db, log: silent, onPending: (channel) => sender.wake(channel) });
    void changes;
    const id = await store();
    await when(id, (one) => one.status === "sent");
  });

  it("records attempt and outcome together or not at all", async () => {
    const id = await store();
    const [claimed] = await claimDue(db, { channel: "email", limit: 1, now, leaseMs: 1000, leaseId: randomUUID() });
    assert.ok(claimed !== undefined);
    const sent = { success: true, detail: "250", status: "sent", failureReason: "", now, nextAttemptTime: undefined } as const;
    const broken = db.transaction(async (tx: Queryable) => {
      await recordAttempt(tx, claimed, sent);
      throw new Error("killed");
    });
    await assert.rejects(broken, /killed/);
    const one = await getNotification(db, id);
    assert.deepEqual([one?.status, one?.attempts], ["pending", []]);
  });
});
