/** The end of deliveries that are open on this instance's connection to RabbitMQ. */
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { insertDeadLetters } from "./dead-letter-store.ts";
import { type Holding, hold } from "./held-store.ts";
import { keyOf, type OpenDeliveries, type OpenDelivery } from "./open-deliveries.ts";
import { type Queue, timedOut } from "./queue.ts";
import { recordSettled } from "./settled-store.ts";
import { queueById } from "./store.ts";

/** What it works with. */
export interface SettlingParts {
  readonly db: Database;
  readonly deliveries: OpenDeliveries;
  readonly clock: () => number;
  /** Tells those who wait that a queue may have something to take. */
  readonly wake: (queueId: string) => void;
  /** Lets held messages be handed over now. */
  readonly kick: () => void;
}

/** Settles by the numbers of deliveries; each answers with those that were open in the queue. */
export interface Settling {
  ack(queueId: string, numbers: readonly number[]): Promise<number[]>;
  nack(queue: Queue, numbers: readonly number[], delayMs: number, reason: string): Promise<number[]>;
  extend(queueId: string, numbers: readonly number[], visibilityMs: number): number[];
  /** Gives back what nobody settled in time. */
  sweep(): Promise<void>;
}

/** Settles what `deliveries` has. */
export function createSettling({ db, deliveries, clock, wake, kick }: SettlingParts): Settling {
  /** Takes note of what is done in an ordered queue, before its key goes on. False when another instance holds the queue. */
  const record = async (q: Queryable, queueId: string, done: readonly OpenDelivery[]) => {
    const keys = done.filter(isOrdered).map(({ incoming }) => keyOf(incoming));
    return keys.length === 0 || recordSettled(q, queueId, deliveries.instance, keys, clock());
  };

  const ack = async (queueId: string, numbers: readonly number[]) => {
    const open = deliveries.find(queueId, numbers);
    for (const delivery of open) delivery.settling = true;
    try {
      if (!(await record(db, queueId, [...open, ...deliveries.lost(queueId, numbers)]))) {
        for (const { handle } of open) deliveries.lose(handle.channel);
        return [];
      }
    } catch (error) {
      for (const delivery of open) delivery.settling = false;
      throw error;
    }
    const acked = open.filter((delivery) => {
      if (!tell(delivery)) return false;
      deliveries.close(delivery, true);
      return true;
    });
    return [...acked.map(({ number }) => number), ...deliveries.doneAfterLoss(queueId, numbers)];
  };

  /** Tells the broker that a message is done; false when the channel has broken, which loses the delivery. */
  const tell = ({ handle }: OpenDelivery) => {
    try {
      handle.done();
      return true;
    } catch {
      deliveries.lose(handle.channel);
      return false;
    }
  };

  const nack = async (queue: Queue, numbers: readonly number[], delayMs: number, reason: string) => {
    const open = deliveries.find(queue.id, numbers);
    for (const delivery of open) delivery.settling = true;
    const spent = open.filter(({ deliveryCount }) => deliveryCount >= queue.maxDeliveries);
    const alive = open.filter(({ deliveryCount }) => deliveryCount < queue.maxDeliveries);
    // An ordered queue keeps its messages in place; others go through the database, which keeps the count of their deliveries.
    const moved = alive.filter((delivery) => !isOrdered(delivery));
    const now = clock();
    try {
      if (spent.length + moved.length > 0) {
        const letters = spent.map((delivery) => ({ ...contentOf(delivery), reason, deadTime: now }));
        const holdings = moved.map((delivery) => holdingOf(delivery, now + delayMs));
        const settled = await db.transaction(async (tx) => {
          if (!(await record(tx, queue.id, spent))) return false;
          await insertDeadLetters(tx, queue.id, letters);
          await hold(tx, queue.id, holdings, undefined);
          return true;
        });
        if (!settled) {
          for (const { handle } of open) deliveries.lose(handle.channel);
          return [];
        }
      }
    } catch (error) {
      for (const delivery of open) delivery.settling = false;
      throw error;
    }
    for (const delivery of [...spent, ...moved]) {
      // A broker that does not hear it delivers the message again; here it is known as done.
      deliveries.close(delivery, true);
      tell(delivery);
    }
    for (const delivery of alive) {
      if (delivery.handle.keep === undefined) continue;
      delivery.handle.keep(now + delayMs);
      deliveries.close(delivery, false);
    }
    if (moved.length > 0 && delayMs === 0) kick();
    if (alive.length > moved.length) wake(queue.id);
    return open.map(({ number }) => number);
  };

  return {
    ack,
    nack,
    extend(queueId, numbers, visibilityMs) {
      const open = deliveries.find(queueId, numbers);
      for (const delivery of open) delivery.visibleTime = clock() + visibilityMs;
      return open.map(({ number }) => number);
    },
    async sweep() {
      for (const [queueId, expired] of Map.groupBy(deliveries.expired(clock()), ({ queue }) => queue.id)) {
        const numbers = expired.map(({ number }) => number);
        const queue = await queueById(db, queueId);
        if (queue === undefined) await ack(queueId, numbers);
        else await nack(queue, numbers, 0, timedOut);
      }
    },
  };
}

/** Its source keeps what was given back in place: an ordered queue. */
function isOrdered({ handle }: OpenDelivery): boolean {
  return handle.keep !== undefined;
}

function contentOf({ incoming, deliveryCount }: OpenDelivery) {
  const { messageId, data, headers, priority, orderingKey, publishTime } = incoming;
  return { messageId, data, headers, priority, orderingKey, publishTime, deliveryCount };
}

function holdingOf(delivery: OpenDelivery, dueTime: number): Holding {
  const { messageId, deliveryCount, ...same } = contentOf(delivery);
  return { message: { ...same, id: messageId, dueTime }, dueTime, deliveryCount };
}
