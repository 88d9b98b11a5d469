/**
 * The backend over RabbitMQ: classic queues, durable, with priorities; publisher confirms; every message persistent and mandatory.
 *
 * RabbitMQ keeps what can be delivered. PostgreSQL keeps what it cannot: messages that are not due (a ladder of TTL queues could neither list nor
 * cancel them), those that a consumer gave back (with the count of their deliveries, which a classic queue does not keep), those that were published
 * with a deduplication key (in one transaction with it), dead letters, and what was settled last in ordered queues. Classic rather than quorum queues, since only they have priorities
 * and basic.get, by which a pull takes as many as it asks for and hides no others.
 */
import type { Logger } from "pino";
import { from, notFound, unavailable } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import type { Backend } from "./backend.ts";
import { leaseMs, startHeldRelay } from "./held-relay.ts";
import * as held from "./held-store.ts";
import { fromToken, OpenDeliveries, toToken } from "./open-deliveries.ts";
import { startPeriodic } from "./periodic.ts";
import type { Delivery, NewMessage, Queue } from "./queue.ts";
import { RabbitConnection } from "./rabbit-connection.ts";
import { type Ask, gone, RabbitControl } from "./rabbit-control.ts";
import { RabbitHold } from "./rabbit-hold.ts";
import { RabbitLane } from "./rabbit-lane.ts";
import { toRabbit } from "./rabbit-message.ts";
import { type Outgoing, RabbitPublisher } from "./rabbit-publisher.ts";
import { createSettling } from "./rabbit-settling.ts";
import { claimHold, forgetSettled } from "./settled-store.ts";
import { queueById } from "./store.ts";

/** What it works with. */
export interface RabbitOptions {
  readonly db: Database;
  readonly url: URL;
  /** What the names of our queues and exchanges begin with. */
  readonly prefix: string;
  readonly log: Logger;
  readonly clock: () => number;
  /** Milliseconds between two looks for deliveries that nobody settled in time. Default 200. */
  readonly sweepMs?: number;
}

/** Priorities of messages. */
const maxPriority = 9;
/** Milliseconds after which what is not used is closed. */
const idleMs = 60_000;
/** The most messages that one instance takes from another at once: they are one message between them. */
const maxFromHolder = 50;

/** Opens the backend; when RabbitMQ is away, it connects later. */
export async function openRabbitBackend(options: RabbitOptions): Promise<Backend> {
  const { db, url, prefix, log, clock, sweepMs = 200 } = options;
  const listeners = new Set<(queueId: string | undefined) => void>();
  const ready = (queueId: string | undefined) => {
    for (const listener of [...listeners]) listener(queueId);
  };
  const nameOf = (queueId: string) => `${prefix}queue.${queueId}`;
  const deliveries = new OpenDeliveries();
  const lanes = new Map<string, RabbitLane>();
  const holds = new Map<string, RabbitHold>();
  await using undo = new AsyncDisposableStack();
  const control = new RabbitControl({ instance: deliveries.instance, prefix, log, answer, onWake: ready });
  const connection = undo.use(
    new RabbitConnection({
      url,
      log,
      async onOpen(model) {
        await control.open(model);
        // Whatever was said meanwhile was not heard.
        setTimeout(() => ready(undefined), 0);
      },
      onLost: () => control.close(),
    }),
  );
  const publisher = new RabbitPublisher(connection);
  const claim = (queueId: string) => claimHold(db, queueId, deliveries.instance);
  const parts = { connection, deliveries, clock, nameOf, restore, wake, announce, claim };
  const relay = undo.use(startHeldRelay({ db, log, clock, publish: publishHeld }));
  const settling = createSettling({ db, deliveries, clock, wake, kick: () => relay.kick() });
  undo.use(startPeriodic("sweep expired deliveries", sweepMs, settling.sweep, log));
  undo.use(startPeriodic("close idle channels", 10_000, closeIdle, log));
  undo.use(startPeriodic("forget what was settled", 10_000, () => forgetSettled(db, clock()), log));
  await connection.firstAttempt();

  function wake(queueId: string): void {
    control.wake(queueId);
  }

  function announce(queueId: string, held: boolean): Promise<void> {
    return control.announceHolder(queueId, held);
  }

  function sourceOf<S>(sources: Map<string, S>, queueId: string, create: () => S): S {
    const source = sources.get(queueId) ?? create();
    sources.set(queueId, source);
    return source;
  }

  const laneOf = (queueId: string) => sourceOf(lanes, queueId, () => new RabbitLane(parts));
  const holdOf = (queueId: string) => sourceOf(holds, queueId, () => new RabbitHold(parts, queueId));

  /** Does something on a channel of its own, since a mistake closes it. */
  async function onChannel<T>(work: (channel: Awaited<ReturnType<typeof connection.channel>>) => Promise<T>): Promise<T> {
    const channel = await connection.channel(() => undefined);
    try {
      return await work(channel);
    } catch (error) {
      throw unavailable("RabbitMQ could not do it", 1000, error);
    } finally {
      await channel.close().catch(() => undefined);
    }
  }

  async function declare({ id, ordered }: Queue): Promise<void> {
    // Ordered queues have no priorities: they would let one message pass another of its key.
    const priorities = ordered ? {} : { maxPriority };
    await onChannel((channel) => channel.assertQueue(nameOf(id), { durable: true, ...priorities }));
  }

  /** Makes a queue that the broker has lost, as one does that lost its disk. */
  async function restore(queueId: string): Promise<boolean> {
    const queue = await queueById(db, queueId);
    if (queue !== undefined) await declare(queue);
    return queue !== undefined;
  }

  async function send(queue: Queue, outgoing: readonly Outgoing[]): Promise<void> {
    if (outgoing.length === 0) return;
    const returned = await publisher.publish(nameOf(queue.id), outgoing);
    if (returned.length > 0) {
      if (!(await restore(queue.id))) throw notFound("queue", queue.name);
      const again = await publisher.publish(nameOf(queue.id), returned);
      if (again.length > 0) throw unavailable("RabbitMQ has no such queue", 1000);
    }
    wake(queue.id);
  }

  async function publishHeld(queueId: string, some: readonly held.Held[]): Promise<void> {
    const queue = await queueById(db, queueId);
    // Gone with its queue.
    if (queue === undefined) return;
    const outgoing = some.map(({ message, sequence, attempts, deliveryCount }) => {
      // One that was handed over before may have been delivered since.
      const again = { run: sequence, deliveries: deliveryCount + (attempts > 1 ? 1 : 0) };
      return toRabbit(message, queue.retentionMs, queue.ordered, again);
    });
    await send(queue, outgoing);
  }

  /** Stores messages here, and hands over those that are due. */
  async function publishThroughDatabase(queue: Queue, choose: (tx: Queryable) => Promise<readonly NewMessage[]>): Promise<void> {
    const now = clock();
    const leased = await db.transaction(async (tx) => {
      const messages = await choose(tx);
      const holding = (message: NewMessage) => ({ message, dueTime: message.dueTime ?? now, deliveryCount: 0 });
      const later = messages.filter(({ dueTime }) => dueTime !== undefined);
      await held.hold(tx, queue.id, later.map(holding), undefined);
      const due = messages.filter(({ dueTime }) => dueTime === undefined);
      return held.hold(tx, queue.id, due.map(holding), now + leaseMs);
    });
    // They are durable: what RabbitMQ does not take now, it is given later.
    await relay.handOver(leased).catch((error: unknown) => log.debug({ err: error }, "held messages wait for RabbitMQ"));
  }

  async function answer(ask: Ask): Promise<unknown> {
    const { op, queueId, numbers, max, visibilityMs, delayMs, reason } = ask as unknown as Question;
    if (op === "count") {
      const { ready, later } = holds.get(queueId)?.count() ?? { ready: 0, later: 0 };
      return { open: deliveries.count(queueId), ready, later };
    }
    if (op === "drain") return { drained: holds.get(queueId)?.drain() ?? 0 };
    const queue = await queueById(db, queueId);
    if (queue === undefined) return [];
    if (op === "take") return holds.get(queueId)?.take(queue, max, visibilityMs) ?? [];
    if (op === "ack") return settling.ack(queueId, numbers);
    if (op === "nack") return settling.nack(queue, numbers, delayMs, reason);
    return settling.extend(queueId, numbers, visibilityMs);
  }

  async function closeIdle(): Promise<void> {
    const now = clock();
    for (const sources of [lanes, holds]) {
      for (const [queueId, source] of sources) {
        if (now - source.usedAt < idleMs || deliveries.count(queueId) > 0) continue;
        sources.delete(queueId);
        await source.close();
      }
    }
  }

  /** Settles each token where it is open. */
  async function settle(
    queue: Queue,
    tokens: readonly string[],
    here: (numbers: readonly number[]) => readonly number[] | Promise<readonly number[]>,
    ask: Ask,
  ): Promise<ReadonlySet<string>> {
    const named = tokens.flatMap((token) => fromToken(token) ?? []);
    const groups = [...Map.groupBy(named, ({ instance }) => instance)].map(async ([instance, some]) => {
      const numbers = some.map(({ number }) => number);
      const own = instance === deliveries.instance;
      const open = own ? await here(numbers) : await control.askInstance(instance, { ...ask, queueId: queue.id, numbers });
      return (Array.isArray(open) ? open : []).map((number: number) => toToken({ instance, number }));
    });
    const settled = await Promise.allSettled(groups);
    const failed = settled.find((one) => one.status === "rejected");
    // What was settled elsewhere stays so; a repeat finds it closed.
    if (failed?.status === "rejected") throw from(failed.reason);
    return new Set(settled.flatMap((one) => (one.status === "fulfilled" ? one.value : [])));
  }

  async function takeOrdered(queue: Queue, max: number, visibilityMs: number): Promise<Delivery[]> {
    const hold = holdOf(queue.id);
    if (hold.holds) return hold.take(queue, max, visibilityMs);
    const ask = { op: "take", queueId: queue.id, max: Math.min(max, maxFromHolder), visibilityMs };
    const answered = await control.askHolder(queue.id, ask);
    if (answered !== gone) return answered as Delivery[];
    return (await hold.acquire()) ? hold.take(queue, max, visibilityMs) : [];
  }

  const disposal = undo.move();
  return {
    name: "rabbitmq",
    // RabbitMQ closes the channel of a delivery that is open for 30 minutes (its consumer_timeout).
    maxVisibilityMs: 25 * 60_000,

    create: declare,

    async remove(queue) {
      await onChannel((channel) => channel.deleteQueue(nameOf(queue.id)));
      await held.purgeHeld(db, queue.id, clock());
      await lanes.get(queue.id)?.close();
      lanes.delete(queue.id);
      holds.delete(queue.id);
    },

    async publish(queue, messages, within) {
      if (within !== undefined) return publishThroughDatabase(queue, within);
      const later = messages.some(({ dueTime }) => dueTime !== undefined);
      // Those of an ordered queue must not pass what waits here for its turn.
      const behind = queue.ordered && (await held.anyDue(db, queue.id, clock()));
      if (later || behind) return publishThroughDatabase(queue, async () => messages);
      await send(
        queue,
        messages.map((message) => toRabbit(message, queue.retentionMs, queue.ordered)),
      );
    },

    take: (queue, max, visibilityMs) =>
      queue.ordered ? takeOrdered(queue, max, visibilityMs) : laneOf(queue.id).take(queue, max, visibilityMs),

    onReady(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },

    ack: (queue, tokens) => settle(queue, tokens, (numbers) => settling.ack(queue.id, numbers), { op: "ack" }),

    nack: (queue, tokens, delayMs, reason) =>
      settle(queue, tokens, (numbers) => settling.nack(queue, numbers, delayMs, reason), { op: "nack", delayMs, reason }),

    extend: (queue, tokens, visibilityMs) =>
      settle(queue, tokens, (numbers) => settling.extend(queue.id, numbers, visibilityMs), { op: "extend", visibilityMs }),

    async count(queue) {
      const [{ messageCount }, here, instances] = await Promise.all([
        onChannel((channel) => channel.checkQueue(nameOf(queue.id))),
        held.countHeld(db, queue.id, clock()),
        control.askAll({ op: "count", queueId: queue.id }) as Promise<{ open: number; ready: number; later: number }[]>,
      ]);
      const sum = (what: "open" | "ready" | "later") => instances.reduce((total, one) => total + one[what], 0);
      return { ready: messageCount + here.due + sum("ready"), inFlight: sum("open"), scheduled: here.later + sum("later") };
    },

    async purge(queue) {
      const { messageCount } = await onChannel((channel) => channel.purgeQueue(nameOf(queue.id)));
      const drained = queue.ordered ? await control.askHolder(queue.id, { op: "drain", queueId: queue.id }) : gone;
      const atHolder = drained === gone ? 0 : (drained as { drained: number }).drained;
      return messageCount + atHolder + (await held.purgeHeld(db, queue.id, clock()));
    },

    listScheduled: (queue, size, after) => held.listHeld(db, queue.id, clock(), size, after),

    cancelScheduled: (queue, messageId) => held.cancelHeld(db, queue.id, messageId, clock()),

    async check() {
      return connection.reason === undefined ? undefined : `RabbitMQ is away: ${connection.reason}`;
    },

    [Symbol.asyncDispose]: () => disposal.disposeAsync(),
  };
}

interface Question {
  readonly op: "count" | "drain" | "take" | "ack" | "nack" | "extend";
  readonly queueId: string;
  readonly numbers: readonly number[];
  readonly max: number;
  readonly visibilityMs: number;
  readonly delayMs: number;
  readonly reason: string;
}
