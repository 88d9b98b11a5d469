/** Hands held messages to RabbitMQ when they are due: those of the past, of all instances, too. */
import type { Logger } from "pino";
import type { Database } from "#mesh/storage/database.ts";
import { forgetHeld, giveUpLeases, type Held, leaseDue } from "./held-store.ts";
import { startPeriodic } from "./periodic.ts";

/** What it works with. */
export interface RelayOptions {
  readonly db: Database;
  readonly log: Logger;
  readonly clock: () => number;
  /** Publishes messages of one queue, in order; a queue that is gone takes none, without an error. */
  readonly publish: (queueId: string, some: readonly Held[]) => Promise<void>;
}

/** The relay. */
export interface HeldRelay extends AsyncDisposable {
  /** Hands over messages that the caller has leased. On failure they stay held, and are handed over later. */
  handOver(held: readonly Held[]): Promise<void>;
  /** Looks now. */
  kick(): void;
}

/** Milliseconds between two looks. */
const everyMs = 250;
/** How long whoever hands messages over has for it, in milliseconds. */
export const leaseMs = 30_000;
const batchSize = 200;

/** Starts the relay. */
export function startHeldRelay({ db, log, clock, publish }: RelayOptions): HeldRelay {
  let running: Promise<void> | undefined;

  const handOver = async (held: readonly Held[]) => {
    const queues = [...Map.groupBy(held, ({ queueId }) => queueId)];
    const settled = await Promise.allSettled(
      queues.map(async ([queueId, some]) => {
        const sequences = some.map(({ sequence }) => sequence);
        try {
          await publish(queueId, some);
        } catch (error) {
          await giveUpLeases(db, sequences).catch(() => undefined);
          throw error;
        }
        // When this fails they are handed over again, and marked as such.
        await forgetHeld(db, sequences);
      }),
    );
    for (const one of settled) if (one.status === "rejected") throw one.reason;
  };
  const look = async () => {
    for (;;) {
      const now = clock();
      const due = await db.transaction((tx) => leaseDue(tx, now, now + leaseMs, batchSize));
      if (due.length === 0) return;
      await handOver(due);
    }
  };
  const once = () => {
    running ??= look().finally(() => {
      running = undefined;
    });
    return running;
  };
  const periodic = startPeriodic("hand held messages to RabbitMQ", everyMs, once, log);
  return {
    handOver,
    kick: () => void once().catch(() => undefined),
    async [Symbol.asyncDispose]() {
      await periodic[Symbol.asyncDispose]();
      await running?.catch(() => undefined);
    },
  };
}
