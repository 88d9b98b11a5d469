import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { SubscribeRequestSchema } from "#gen/queue/v1/queue_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Who } from "./access.ts";
import type { Backend } from "./backend.ts";
import { openPostgresBackend } from "./postgres-backend.ts";
import { asAnn, type Fixture, freshDatabase, json, refused, seconds, serve, silent } from "./queue.fixture.ts";

describe("queue service: subscriptions", () => {
  let db: Database;
  let backend: Backend;
  let fixture: Fixture;
  before(async () => {
    ({ db } = await freshDatabase());
    backend = await openPostgresBackend({ db, log: silent, clock: Date.now, sweepMs: 100 });
    fixture = serve(db, backend);
  });
  after(async () => {
    fixture[Symbol.dispose]();
    await backend[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  let count = 0;
  const fresh = () => `orders-${++count}`;
  const made = async (more: object = {}, who: Who = asAnn) => {
    const { queue } = await fixture.as(who).createQueue({ queue: { name: fresh(), ...more } });
    return queue?.name ?? "";
  };
  const send = (queue: string, data: string | number, more: object = {}, who: Who = asAnn) =>
    fixture.as(who).publish({ queue, message: { data: json(data), ...more } });
  const _pullOne = async (queue: string, who: Who = asAnn) => {
    const { deliveries } = await fixture.as(who).pull({ queue, wait: seconds(5) });
    return deliveries[0] ?? assert.fail("expected a delivery");
  };

  describe("Subscribe", () => {
    it("sends as many as there are credits, takes acks and nacks on the stream, and ends when the client has ended", async () => {
      const queue = await made();
      await fixture.as(asAnn).publishBatch({ queue, messages: [1, 2, 3, 4].map((n) => ({ data: json(n) })) });
      const said = new Said();
      const stream = fixture.as(asAnn).subscribe(said)[Symbol.asyncIterator]();
      const next = async () => (await stream.next()).value?.event;
      said.say({ queue, credits: 2 });
      const [one, two] = [await next(), await next()];
      assert.ok(one?.case === "delivery" && two?.case === "delivery");
      said.say({ ackTokens: [one.value.ackToken, "nonsense"], nackTokens: [two.value.ackToken], nackReason: "busy" });
      const settlement = await next();
      assert.ok(settlement?.case === "settlement");
      assert.deepEqual(settlement.value.settledTokens, [one.value.ackToken, two.value.ackToken]);
      assert.deepEqual(settlement.value.expiredTokens, ["nonsense"]);
      assert.equal((await fixture.as(asAnn).getStats({ queue })).ready, 3n);
      said.say({ credits: 3 });
      const rest = [await next(), await next(), await next()].map((event) => event?.case === "delivery" && event.value.data);
      assert.deepEqual(rest, [json(2), json(3), json(4)]);
      await send(queue, 5, {});
      said.say({ credits: 1 });
      const last = await next();
      assert.ok(last?.case === "delivery" && last.value.deliveryCount === 1);
      said.end();
      assert.equal((await stream.next()).done, true);
    });

    it("leaves open what it sent when the client goes, so that its token still counts", async () => {
      const queue = await made();
      await send(queue, 1);
      const said = new Said();
      const cut = new AbortController();
      const stream = fixture.as(asAnn).subscribe(said, { signal: cut.signal })[Symbol.asyncIterator]();
      said.say({ queue, credits: 10 });
      const { value } = await stream.next();
      assert.ok(value?.event.case === "delivery");
      cut.abort();
      await refused(stream.next(), Code.Canceled);
      await fixture.as(asAnn).ack({ queue, ackTokens: [value.event.value.ackToken] });
    });

    it("ends with NOT_FOUND when the queue is removed", async () => {
      const queue = await made();
      const said = new Said();
      const stream = fixture.as(asAnn).subscribe(said)[Symbol.asyncIterator]();
      said.say({ queue, credits: 1 });
      const next = stream.next();
      await fixture.as(asAnn).deleteQueue({ name: queue });
      said.say({ credits: 1 });
      await refused(next, Code.NotFound);
    }).timeout(40_000);

    for (const [what, messages, field] of [
      ["no queue at first", [{ credits: 1 }], "queue"],
      ["a queue again", [{ queue: "Q" }, { queue: "Q" }], "queue"],
      ["20,000 credits", [{ queue: "Q", credits: 10_000 }, { credits: 10_000 }], "credits"],
    ] as const) {
      it(`refuses ${what} as INVALID_ARGUMENT of ${field}`, async () => {
        const name = await made();
        const said = new Said();
        for (const one of messages) said.say("queue" in one ? { ...one, queue: name } : one);
        const stream = fixture.as(asAnn).subscribe(said)[Symbol.asyncIterator]();
        await refused(stream.next(), Code.InvalidArgument, field);
      });
    }
  });
});

type Words = MessageInitShape<typeof SubscribeRequestSchema>;

async function* _once(words: Words): AsyncGenerator<Words> {
  yield words;
}

/** What a client says, as it says it. */
class Said implements AsyncIterable<Words> {
  readonly #words: Words[] = [];
  #news = Promise.withResolvers<void>();
  #ended = false;

  say(words: Words): void {
    this.#words.push(words);
    this.#news.resolve();
  }

  end(): void {
    this.#ended = true;
    this.#news.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Words> {
    for (;;) {
      const next = this.#words.shift();
      if (next !== undefined) yield next;
      else if (this.#ended) return;
      else {
        await this.#news.promise;
        this.#news = Promise.withResolvers();
      }
    }
  }
}
