/**
 * A subscription: deliveries one way, credits and settlements the other, on one stream.
 *
 * Two loops run side by side: one reads what the client says, one takes messages while there are credits. Both put what the client is to hear
 * into one mailbox, which the stream empties.
 */
import type { ConnectError } from "@connectrpc/connect";
import { from, invalidArgument, unauthenticated } from "#mesh/errors.ts";
import type { Backend } from "./backend.ts";
import { giveBack, pull } from "./pull.ts";
import type { Delivery, Queue } from "./queue.ts";
import type { WaitingRoom } from "./waiting-room.ts";

/** What a client says. */
export interface Said {
  /** Empty after the first message. */
  readonly queue: string;
  readonly visibilityMs: number | undefined;
  readonly credits: number;
  readonly ackTokens: readonly string[];
  readonly nackTokens: readonly string[];
  readonly nackDelayMs: number;
  readonly nackReason: string;
}

/** What a client hears. */
export type Heard =
  | { readonly kind: "delivery"; readonly delivery: Delivery }
  | {
      readonly kind: "settlement";
      readonly settled: readonly string[];
      readonly expired: readonly string[];
      readonly error: ConnectError | undefined;
    };

/** What it works with. */
export interface SubscriptionParts {
  readonly backend: Backend;
  readonly room: WaitingRoom;
  readonly clock: () => number;
  /** The queue of a name, for one who may consume from it; asked again and again, since grants and queues come and go. */
  readonly queueOf: (name: string) => Promise<Queue>;
  /** When the caller's token ends, in milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
}

/** The most deliveries that one take asks for. */
const batchSize = 100;
/** Milliseconds between two looks whether the caller may still consume, at most. */
const recheckMs = 15_000;
/** How many credits a client may have at once. */
const maxCredits = 10_000;

/** Runs a subscription. Ends when the client has ended its messages and all it asked is answered. */
export async function* subscription(said: AsyncIterable<Said>, parts: SubscriptionParts): AsyncGenerator<Heard> {
  const { backend, room, clock, queueOf, expiresAt, signal } = parts;
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const gone = aborted(ended);
  const box = new Box();
  let queue: Queue | undefined;
  let credits = 0;
  let visibilityMs: number | undefined;
  let changed = Promise.withResolvers<void>();

  const read = async () => {
    for await (const one of said) {
      if (queue === undefined) {
        if (one.queue === "") throw mistake("queue", "expected a queue's name in the first message");
        queue = await queueOf(one.queue);
      } else if (one.queue !== "") throw mistake("queue", "expected none after the first message");
      visibilityMs = one.visibilityMs ?? visibilityMs;
      if (credits + one.credits > maxCredits) throw mistake("credits", `expected at most ${maxCredits} that are not used`);
      credits += one.credits;
      changed.resolve();
      await settle(queue, one);
    }
  };

  const settle = async (on: Queue, { ackTokens, nackTokens, nackDelayMs, nackReason }: Said) => {
    const asked = [...ackTokens, ...nackTokens];
    if (asked.length === 0) return;
    try {
      const acked = ackTokens.length === 0 ? none : await backend.ack(on, ackTokens);
      const nacked = nackTokens.length === 0 ? none : await backend.nack(on, nackTokens, nackDelayMs, nackReason);
      const settled = asked.filter((token) => acked.has(token) || nacked.has(token));
      const expired = asked.filter((token) => !acked.has(token) && !nacked.has(token));
      box.put({ kind: "settlement", settled, expired, error: undefined });
    } catch (error) {
      box.put({ kind: "settlement", settled: [], expired: [], error: from(error) });
    }
  };

  const deliver = async () => {
    while (!ended.aborted) {
      if (credits === 0 || queue === undefined) {
        await Promise.race([changed.promise, gone]);
        changed = Promise.withResolvers();
        continue;
      }
      if (clock() >= expiresAt) throw unauthenticated("TOKEN_EXPIRED", "the token has ended: subscribe again with a new one");
      queue = await queueOf(queue.name);
      const max = Math.min(credits, batchSize);
      const wanted = { queue, max, visibilityMs: visibilityMs ?? queue.visibilityMs, until: clock() + recheckMs, signal: ended };
      for (const delivery of await pull(backend, room, wanted, clock)) {
        credits -= 1;
        box.put({ kind: "delivery", delivery });
      }
    }
  };

  const delivering = deliver().catch((error: unknown) => void (ended.aborted || box.fail(from(error))));
  const reading = read()
    .then(async () => {
      stop.abort();
      await delivering;
      box.end();
    })
    .catch((error: unknown) => box.fail(from(error)));
  const onAbort = () => box.end();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    yield* box;
  } finally {
    signal.removeEventListener("abort", onAbort);
    stop.abort();
    await delivering;
    // What was taken and not sent: nobody has seen it.
    const unsent = box.rest().flatMap((heard) => (heard.kind === "delivery" ? heard.delivery : []));
    if (queue !== undefined && unsent.length > 0) await giveBack(backend, queue, unsent);
    void reading;
  }
}

const none: ReadonlySet<string> = new Set();

function mistake(field: string, description: string): ConnectError {
  return invalidArgument([{ field, description }]);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** What waits to be sent. Its size is bounded by the client: by its credits, and by one settlement for each of its messages. */
class Box implements AsyncIterable<Heard> {
  readonly #waiting: Heard[] = [];
  #news = Promise.withResolvers<void>();
  #end: { readonly error: ConnectError | undefined } | undefined;

  put(heard: Heard): void {
    this.#waiting.push(heard);
    this.#news.resolve();
  }

  end(): void {
    this.#end ??= { error: undefined };
    this.#news.resolve();
  }

  fail(error: ConnectError): void {
    this.#end ??= { error };
    this.#news.resolve();
  }

  rest(): readonly Heard[] {
    return this.#waiting.splice(0);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Heard> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) yield next;
      else if (this.#end?.error !== undefined) throw this.#end.error;
      else if (this.#end !== undefined) return;
      else {
        await this.#news.promise;
        this.#news = Promise.withResolvers();
      }
    }
  }
}
