/** Tells the audit log of refusals, behind the back of the calls that were refused: none waits for it or fails by it. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code } from "@connectrpc/connect";
import type { Counter, Meter } from "@opentelemetry/api";
import type { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { detachedContext, type Origin, runWithContext, runWithoutContext } from "../context.ts";
import { from } from "../errors.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Refusal } from "./refusal.ts";

/** Adds a refusal to the audit log, in the context of its origin; false when the log dropped it. The same id counts once. */
export type RecordRefusal = (refusal: Refusal, requestId: string) => Promise<boolean>;

/** Through the mesh: what all services but auth do. */
export function recordThrough(auth: Pick<Client<typeof AuthService>, "recordAuditEvent">): RecordRefusal {
  return async (refusal, requestId) => (await auth.recordAuditEvent({ ...refusal, requestId, success: false })).recorded;
}

/** What the reporter works with. */
export interface RefusalReporterOptions {
  readonly record: RecordRefusal;
  readonly log: Logger;
  readonly meter: Meter;
  /** Milliseconds since the epoch. Default Date.now. */
  readonly clock?: () => number;
  /** Milliseconds to wait after `failures` failures in a row (from 1). Default: 1 s doubling to 30 s, +-20 %. */
  readonly backoffMs?: (failures: number) => number;
}

/** Refusals that wait at most; the oldest goes first, since the latest tell more of an attack that goes on. */
const maxWaiting = 100;
/** Refusals a second that one process reports; auth itself takes no more from all together. */
const maxPerSecond = 20;
/** Milliseconds that one report may take. */
const reportMs = 2000;
/** Milliseconds in which the rest is reported when the process ends. */
const lastReportsMs = 1000;

interface Report {
  readonly refusal: Refusal;
  readonly origin: Origin;
  readonly requestId: string;
}

/** A bounded queue with one report on its way at a time. What it drops, it counts: `heddle.audit.dropped`, by reason. */
export class RefusalReporter implements AsyncDisposable {
  readonly #options: RefusalReporterOptions;
  readonly #clock: () => number;
  readonly #dropped: Counter;
  readonly #closing = new AbortController();
  readonly #waiting: Report[] = [];
  #running: Promise<void> | undefined;
  #second = 0;
  #inSecond = 0;
  #closeBy = Number.POSITIVE_INFINITY;

  constructor(options: RefusalReporterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? Date.now;
    this.#dropped = options.meter.createCounter("heddle.audit.dropped", {
      unit: "{event}",
      description: "Refusals that did not get into the audit log",
    });
  }

  /** Takes note of a refusal and returns at once. */
  report(refusal: Refusal, origin: Origin): void {
    const reason = this.#closing.signal.aborted ? "closed" : this.#tooMany() ? "rate" : undefined;
    if (reason !== undefined) {
      this.#drop(reason);
      return;
    }
    if (this.#waiting.length >= maxWaiting) {
      this.#waiting.shift();
      this.#drop("queue");
    }
    const { client, correlationId, trace } = origin;
    this.#waiting.push({ refusal, origin: { client, correlationId, trace }, requestId: randomUUID() });
    this.#running ??= runWithoutContext(() => this.#run());
  }

  /** Reports what waits, for a second at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closeBy = this.#clock() + lastReportsMs;
    this.#closing.abort();
    await this.#running;
  }

  #tooMany(): boolean {
    const second = Math.floor(this.#clock() / 1000);
    if (second !== this.#second) this.#inSecond = 0;
    this.#second = second;
    return ++this.#inSecond > maxPerSecond;
  }

  async #run(): Promise<void> {
    const { log, backoffMs = defaultBackoffMs } = this.#options;
    const { signal } = this.#closing;
    let failures = 0;
    for (let report = this.#waiting.shift(); report !== undefined; report = this.#waiting.shift()) {
      try {
        if (!(await this.#send(report))) this.#drop("refused");
        failures = 0;
      } catch (thrown) {
        const error = from(thrown);
        if (failures++ === 0) log.warn({ error: error.rawMessage, err: error.cause }, "refusals cannot be audited for now");
        if (signal.aborted || !mayPass.has(error.code)) {
          this.#drop("failed");
          continue;
        }
        if (this.#waiting.length < maxWaiting) this.#waiting.unshift(report);
        else this.#drop("queue");
        await sleep(backoffMs(failures), undefined, { ref: false, signal }).catch(() => undefined);
      }
    }
    this.#running = undefined;
  }

  async #send({ refusal, origin, requestId }: Report): Promise<boolean> {
    const now = this.#clock();
    const deadline = Math.min(now + reportMs, this.#closeBy);
    return runWithContext(detachedContext(origin, deadline), () => this.#options.record(refusal, requestId));
  }

  #drop(reason: "rate" | "queue" | "failed" | "refused" | "closed"): void {
    this.#dropped.add(1, { reason });
  }
}

/** Codes after which the same report may succeed later. */
const mayPass: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.Aborted,
  Code.ResourceExhausted,
]);

function defaultBackoffMs(failures: number): number {
  return Math.min(30_000, 1000 * 2 ** Math.min(failures - 1, 10)) * (0.8 + 0.4 * Math.random());
}
