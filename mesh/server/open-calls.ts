/** The calls that are being served right now. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { Call } from "./call.ts";

/** How long an answer may still take to leave after the deadline, in milliseconds. */
const deadlineGraceMs = 1000;

/** Knows every call from its headers to its end. */
export class OpenCalls {
  readonly #calls = new Set<Call>();

  get size(): number {
    return this.#calls.size;
  }

  /** Until the call ends. */
  add(call: Call): void {
    this.#calls.add(call);
    call.onEnd(() => this.#calls.delete(call));
    resetAfterDeadline(call);
  }

  /**
   * Ends the streams that wait for something to tell: those to the caller, without a deadline, that have sent nothing since
   * `quietMs` before `now` (on the clock of performance.now()).
   */
  endQuietStreams(quietMs: number, now: number, reason: ConnectError): void {
    for (const call of this.#calls) {
      if (call.streamsOut && call.context?.deadline === Number.POSITIVE_INFINITY && now - call.lastSentAt >= quietMs)
        call.abort(reason);
    }
  }
}

/**
 * A caller that keeps a call open past its deadline, by not sending the rest of its request or not reading the answer, would
 * hold the stream for good: Connect waits for it.
 */
function resetAfterDeadline(call: Call): void {
  const { signal } = call.handler;
  const onAbort = () => {
    const { reason } = signal;
    if (reason instanceof ConnectError && reason.code === Code.DeadlineExceeded)
      setTimeout(call.peer.reset, deadlineGraceMs).unref();
  };
  signal.addEventListener("abort", onAbort, { once: true });
}
