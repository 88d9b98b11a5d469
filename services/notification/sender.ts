/**
 * The background worker: claims what is due, sends it, records what became of it. One lane per channel, so that a slow provider holds up
 * nobody else's.
 *
 *     pending --claim--> pending, leased --sent--> sent
 *        ^                     |---------later--> pending, due at next_attempt_time
 *        |---lease ended-------|---------never--> failed
 *
 * At least once: a sender that dies between the provider's answer and its record leaves a lease that ends, and another one sends again,
 * with the same id for the receiver to know it by.
 */
import { randomUUID } from "node:crypto";
import type { Meter } from "@opentelemetry/api";
import type { Logger } from "pino";
import type { Database } from "#mesh/storage/database.ts";
import type { Channel } from "./channel.ts";
import { Lane } from "./lane.ts";
import { type ChannelName, channelNames } from "./notification.ts";
import type { RetryPolicy } from "./retry-schedule.ts";

/** What the sender works with. */
export interface SenderOptions {
  readonly db: Database;
  readonly channels: Readonly<Record<ChannelName, Channel>>;
  readonly policy: RetryPolicy;
  readonly log: Logger;
  readonly meter: Meter;
  readonly clock: () => number;
  /** From 0 to 1. Default Math.random. */
  readonly random?: () => number;
  /** Attempts at the same time on one channel. Default 8. */
  readonly concurrency?: number;
  /** How long a claim holds when its sender is not heard of again, in milliseconds; twice what an attempt may take. Default 60 s. */
  readonly leaseMs?: number;
  /** How often to look when nothing says that there is work, in milliseconds: for leases that ended and news that was lost. Default 5 s. */
  readonly pollMs?: number;
  /** How long attempts under way may go on at the end, in milliseconds. Default 5 s. */
  readonly graceMs?: number;
}

/** A running sender. Disposing lets the attempts under way finish, then cuts them short; each is recorded or its claim ends. */
export interface Sender extends AsyncDisposable {
  /** Look now, on one channel or on all. */
  wake(channel?: ChannelName): void;
}

/** Starts sending. */
export function startSender(options: SenderOptions): Sender {
  const attempts = options.meter.createCounter("heddle.notification.attempts", {
    description: "Attempts to send a notification, by channel and outcome (sent, retried, failed)",
  });
  const lanes = new Map(
    channelNames.map((channel) => {
      const lane = new Lane(options.channels[channel], {
        random: Math.random,
        concurrency: 8,
        leaseMs: 60_000,
        pollMs: 5000,
        graceMs: 5000,
        ...options,
        name: channel,
        leaseId: randomUUID(),
        count: (outcome) => attempts.add(1, { channel, outcome }),
      });
      lane.start();
      return [channel, lane] as const;
    }),
  );
  return {
    wake(channel) {
      for (const [name, lane] of lanes) if (channel === undefined || channel === name) lane.wake();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...lanes.values()].map((lane) => lane.stop()));
    },
  };
}
