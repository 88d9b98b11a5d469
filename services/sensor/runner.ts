/**
 * The background worker: claims tests whose samples are stored, analyses them, records their verdicts; and fails what nobody will go on
 * with, so that no test is PROCESSING for ever.
 *
 * An analysis has no effects, so a process that dies in one leaves nothing but a lease that ends, and another one does it again.
 */
import { randomUUID } from "node:crypto";
import type { Meter } from "@opentelemetry/api";
import type { Logger } from "pino";
import type { Outbox } from "#mesh/outbox/outbox.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Analyst } from "./analyst.ts";
import { sensorTypeOf } from "./sensor-types.ts";
import { recordVerdict } from "./verdicts.ts";
import { type Claimed, claimStored, fail, failAbandoned, release } from "./work-store.ts";

/** What the runner works with. */
export interface RunnerOptions {
  readonly db: Database;
  readonly analyst: Analyst;
  readonly outbox: Pick<Outbox, "put">;
  readonly log: Logger;
  readonly meter: Meter;
  readonly clock: () => number;
  /** How long a claim holds when its process is not heard of again, in milliseconds. */
  readonly leaseMs: number;
  /** Tests at the same time; their samples take up to 800 KB each. Default 4. */
  readonly concurrency?: number;
}

/** A running worker. Disposing lets the tests under way finish, and gives back those that do not within five seconds. */
export interface Runner extends AsyncDisposable {
  /** Look now. */
  wake(): void;
}

/** How long the tests under way may go on at the end, in milliseconds. */
const graceMs = 5000;

/** Starts to work. */
export function startRunner(options: RunnerOptions): Runner {
  const { db, analyst, outbox, log, meter, clock, leaseMs, concurrency = 4 } = options;
  const done = meter.createCounter("heddle.sensor.tests", { description: "Tests of stored samples that came to a verdict" });
  const leaseId = randomUUID();
  const underWay = new Map<string, Promise<void>>();
  // Often enough that no dead lease stays for much longer than it was given.
  const pollMs = Math.min(2000, leaseMs / 2);
  let stopping = false;
  let bell = Promise.withResolvers<void>();

  const work = async ({ id, sensorType, sampleRateHz, samples }: Claimed): Promise<void> => {
    try {
      const type = sensorTypeOf.get(sensorType);
      // A type that a newer version of the service knew.
      if (type === undefined) return await fail(db, id, leaseId, `no such sensor type: ${sensorType}`, samples.length, clock());
      const findings = await analyst.analyse(samples, type, sampleRateHz);
      if (await recordVerdict({ db, outbox }, { id, leaseId }, findings, clock())) {
        done.add(1, { type: sensorType, verdict: findings.verdict });
        log.info({ test: id, verdict: findings.verdict, samples: findings.sampleCount }, "tested");
      }
    } catch (error) {
      // The lease ends, and the samples are still there.
      if (!stopping) log.warn({ err: error, test: id }, "cannot analyse a test; its claim will end");
    }
  };

  const look = async (): Promise<void> => {
    const now = clock();
    const failed = await failAbandoned(db, now);
    if (failed > 0) log.warn({ tests: failed }, "failed tests that nobody goes on with");
    const room = concurrency - underWay.size;
    if (room <= 0) return;
    for (const claimed of await claimStored(db, room, { id: leaseId, until: now + leaseMs }, now)) {
      const attempt = work(claimed).finally(() => {
        underWay.delete(claimed.id);
        bell.resolve();
      });
      underWay.set(claimed.id, attempt);
    }
  };

  const run = async (): Promise<void> => {
    let failing = false;
    while (!stopping) {
      // Hung up before the look, so that a ring during it is heard.
      bell = Promise.withResolvers();
      await look().then(
        () => {
          failing = false;
        },
        (error: unknown) => {
          if (!failing) log.warn({ err: error }, "cannot look for tests; trying again");
          failing = true;
        },
      );
      const timer = setTimeout(bell.resolve, pollMs);
      await bell.promise;
      clearTimeout(timer);
    }
  };

  const loop = run();
  return {
    wake: () => bell.resolve(),
    async [Symbol.asyncDispose]() {
      stopping = true;
      bell.resolve();
      await loop;
      let late: NodeJS.Timeout | undefined;
      const grace = new Promise<void>((resolve) => {
        late = setTimeout(resolve, graceMs);
      });
      await Promise.race([Promise.all(underWay.values()), grace]);
      clearTimeout(late);
      for (const id of underWay.keys()) await release(db, id, leaseId).catch(() => undefined);
    },
  };
}
