/** What one call tells when it is over: one log line with the trail of its decisions, its metrics, its span. */
import type { ConnectError } from "@connectrpc/connect";
import type { TraceContext } from "../context.ts";
import { parsePushback } from "../policy/retry.ts";
import { statusName } from "../policy/status-codes.ts";
import type { Logger } from "../telemetry/log.ts";
import type { AttemptEnd } from "./attempt.ts";
import type { Instruments, SpanHandle } from "./instruments.ts";

/** What a report is made with. */
export interface ReportOptions {
  /** `package.Service/Method`. */
  readonly method: string;
  readonly parent: TraceContext;
  readonly instruments: Instruments;
  readonly log: Logger;
}

/** Statuses that say that something is broken, not that the caller asked for the wrong thing: these are logged at info. */
const faults: ReadonlySet<number> = new Set([2, 4, 8, 13, 14, 15]);

/** Collects while the call runs. Durations are measured by the monotonic clock, whatever clock decides. */
export class CallReport {
  /** The service that serves the contract; the contract's name until that is known. */
  target: string;
  /** The version of the service config that the call goes by. */
  configVersion = "";
  readonly #options: ReportOptions;
  readonly #start = performance.now();
  readonly #span: SpanHandle;
  readonly #trail: string[] = [];
  #attempts = 0;
  #retries = 0;
  #transparent = 0;
  #delayMs = 0;
  #done = false;

  constructor(options: ReportOptions) {
    this.#options = options;
    this.target = options.method.slice(0, options.method.indexOf("/"));
    this.#span = options.instruments.span(`Sent.${options.method}`, options.parent);
  }

  /** A step in the trail. */
  note(step: string): void {
    this.#trail.push(step);
  }

  /** An attempt goes out to `endpoint`. */
  attempt(endpoint: string): AttemptReport {
    const { instruments, method } = this.#options;
    this.#attempts += 1;
    this.note(this.#attempts === 1 ? `picked ${endpoint}` : `attempt ${this.#attempts} on ${endpoint}`);
    instruments.attemptStarted(method, this.target);
    const span = instruments.span(`Attempt.${method}`, this.#span.trace);
    const start = performance.now();
    return {
      trace: span.trace,
      end: (code, message) => {
        instruments.attemptEnded(method, this.target, code, performance.now() - start);
        span.end(code, message);
        if (code !== 0) this.note(`${statusName(code)}: ${message}`);
      },
    };
  }

  /** The call goes on after `delayMs`; `counts` is false for a transparent retry. */
  retry(delayMs: number, counts: boolean): void {
    if (counts) this.#retries += 1;
    else this.#transparent += 1;
    this.#delayMs += delayMs;
    this.note(`${counts ? "retry" : "transparent retry"} after ${Math.round(delayMs)} ms`);
  }

  /** The replay buffer overflowed; never silent, since it takes retries away. */
  overflow(limit: number): void {
    const { instruments, log, method } = this.#options;
    instruments.replayOverflow(method, this.target);
    this.note(`committed: more than ${limit} bytes of request`);
    log.info({ rpc: method, service: this.target, limit }, "request too long to be kept for a retry");
  }

  /** The call is over. Later calls do nothing. */
  end(error: ConnectError | undefined): void {
    if (this.#done) return;
    this.#done = true;
    const { instruments, log, method } = this.#options;
    const code = error?.code ?? 0;
    const durationMs = performance.now() - this.#start;
    const repeated = { retries: this.#retries, transparent: this.#transparent, delayMs: this.#delayMs };
    instruments.callEnded(method, this.target, code, durationMs, repeated);
    this.#span.end(code, error?.rawMessage ?? "");
    const level = faults.has(code) ? "info" : "debug";
    if (!log.isLevelEnabled(level)) return;
    const status = statusName(code);
    const trail = this.#trail.join("; ");
    const line = {
      rpc: method,
      service: this.target,
      status,
      durationMs,
      attempts: this.#attempts,
      config: this.configVersion,
      trail,
    };
    log[level](error?.cause === undefined ? line : { ...line, cause: String(error.cause) }, "call");
  }
}

/** One attempt's part. */
export interface AttemptReport {
  readonly trace: TraceContext;
  end(code: number, message: string): void;
}

/** `grpc-retry-pushback-ms` of an attempt that a server ended. */
export function pushbackOf(end: AttemptEnd, trailer: Readonly<Record<string, string | readonly string[] | undefined>>) {
  const value = end.by === "wire" ? trailer["grpc-retry-pushback-ms"] : undefined;
  return parsePushback(typeof value === "string" ? value : undefined);
}
