/**
 * One upload: samples from a stream into an analysis, none of them kept. A lease that is renewed while they come says that somebody
 * answers for the test; when the stream breaks off the test fails at once, when the process dies it fails with the lease.
 */
import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import { aborted, deadlineExceeded, from, invalidArgument } from "#mesh/errors.ts";
import type { Outbox } from "#mesh/outbox/outbox.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Analyst, RunningAnalysis } from "./analyst.ts";
import { SampleError } from "./sample-decoder.ts";
import type { SensorType } from "./sensor-types.ts";
import type { Lease } from "./store.ts";
import { recordVerdict } from "./verdicts.ts";
import { fail, renew } from "./work-store.ts";

/** What uploads work with. */
export interface UploadParts {
  readonly db: Database;
  readonly analyst: Analyst;
  readonly outbox: Pick<Outbox, "put">;
  readonly log: Logger;
  readonly clock: () => number;
  readonly leaseMs: number;
}

/** How long an upload may keep the event loop, in milliseconds. */
const maxTurnMs = 4;

/** A new lease for an upload that begins now. */
export function uploadLease(now: number, leaseMs: number): Lease {
  return { id: randomUUID(), until: now + leaseMs };
}

/** The test that is uploaded, which `lease` holds. */
export interface Uploaded {
  readonly id: string;
  readonly lease: Lease;
  readonly type: SensorType;
  readonly sampleRateHz: number;
}

/**
 * Takes in all samples and records the verdict. Whatever ends it before the last sample fails the test.
 *
 * @throws What `samples` throws; INVALID_ARGUMENT when there are none or they cannot be read; ABORTED when the lease was lost.
 */
export async function upload(parts: UploadParts, test: Uploaded, samples: AsyncIterable<ArrayLike<number>>): Promise<void> {
  const { db, analyst, outbox, log, clock } = parts;
  const { id, lease } = test;
  const analysis = analyst.begin(test.type, test.sampleRateHz);
  const heart = beat(parts, test, analysis);
  try {
    let turn = performance.now();
    for await (const some of samples) {
      heart.assertAlive();
      await analysis.add(some);
      // Messages that wait in a buffer follow each other without a turn of the event loop; others must not wait for all of them.
      if (performance.now() - turn < maxTurnMs) continue;
      await setImmediate();
      turn = performance.now();
    }
    if (analysis.count === 0) throw invalidArgument([{ field: "samples", description: "expected samples, got none" }]);
    const findings = await analysis.conclude();
    // Nobody takes the verdict back: it is recorded although the caller may just have gone.
    const recorded = await runWithoutContext(() => recordVerdict({ db, outbox }, { id, leaseId: lease.id }, findings, clock()));
    if (!recorded) throw lostLease();
    log.info({ test: id, verdict: findings.verdict, samples: findings.sampleCount }, "tested an upload");
  } catch (thrown) {
    const error =
      thrown instanceof SampleError ? invalidArgument([{ field: "samples", description: thrown.message }]) : from(thrown);
    const reason = `the upload broke off after ${analysis.count} samples: ${reasonOf(error)}`;
    await runWithoutContext(() => fail(db, id, lease.id, reason, analysis.count, clock())).catch((err: unknown) =>
      log.warn({ err, test: id }, "cannot record that an upload broke off; its lease will end"),
    );
    throw error;
  } finally {
    heart.stop();
  }
}

/** The messages of a stream, none of which may take longer than `idleMs`. @throws DEADLINE_EXCEEDED otherwise. */
export async function* inTime<T>(messages: AsyncIterable<T>, idleMs: number): AsyncGenerator<T> {
  const iterator = messages[Symbol.asyncIterator]();
  let finished = false;
  try {
    for (;;) {
      const next = iterator.next();
      // Lost races must not count as unhandled.
      next.catch(() => undefined);
      const late = Promise.withResolvers<never>();
      const timer = setTimeout(() => late.reject(deadlineExceeded(`no samples came for ${idleMs / 1000} s`)), idleMs);
      const result = await Promise.race([next, late.promise]).finally(() => clearTimeout(timer));
      if (result.done === true) {
        finished = true;
        return;
      }
      yield result.value;
    }
  } finally {
    // Not awaited: a stream that hangs would not answer this either.
    if (!finished) void iterator.return?.().catch(() => undefined);
  }
}

/** Renews the lease three times in its life. */
function beat({ db, log, clock, leaseMs }: UploadParts, { id, lease }: Uploaded, analysis: RunningAnalysis) {
  let lost = false;
  const renewal = async () => {
    lost = !(await renew(db, id, { id: lease.id, until: clock() + leaseMs }, analysis.count));
  };
  // While the database is away there is nobody either who could take the lease.
  const timer = setInterval(
    () => runWithoutContext(() => renewal()).catch((err: unknown) => log.debug({ err, test: id }, "cannot renew a lease")),
    leaseMs / 3,
  );
  return {
    assertAlive() {
      if (lost) throw lostLease();
    },
    stop: () => clearInterval(timer),
  };
}

function lostLease(): ConnectError {
  return aborted("the test was failed meanwhile, since this process was not heard of in time: upload it again");
}

/** A defect of ours is none of the caller's business. */
function reasonOf(error: ConnectError): string {
  return error.rawMessage;
}
