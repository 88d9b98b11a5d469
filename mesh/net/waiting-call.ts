/** A call that came before there was a session for it. */
import { Code } from "@connectrpc/connect";
import type { Http2Session } from "./http2-session.ts";
import { wireError } from "./status.ts";
import { noFields, type Reach, type WireCall, type WireEvents, type WireRequest } from "./wire.ts";

/** A call that waits for a session; then it is that session's call. */
export class WaitingCall implements WireCall {
  readonly #request: WireRequest;
  readonly #events: WireEvents;
  readonly #queue: Set<WaitingCall>;
  readonly #early: Uint8Array[] = [];
  #finished = false;
  #paused = false;
  #misses = 0;
  #call: WireCall | undefined;

  constructor(request: WireRequest, events: WireEvents, queue: Set<WaitingCall>) {
    this.#request = request;
    this.#events = events;
    this.#queue = queue;
    queue.add(this);
  }

  /** False when the session turns out not to take calls; the call then waits for another. */
  startOn(session: Http2Session): boolean {
    const call = session.start(this.#request, this.#events);
    if (call === undefined) {
      this.#misses += 1;
      if (this.#misses >= maxMisses) queueMicrotask(() => this.fail("unsent", "no session took the call"));
      return false;
    }
    this.#queue.delete(this);
    this.#call = call;
    if (this.#paused) call.pause();
    for (const message of this.#early) call.send(message);
    if (this.#finished) call.finish();
    else if (this.#early.length > 0) this.#events.onDrain();
    return true;
  }

  /** Ends it as long as it waits; does nothing once a session has it. */
  fail(reach: Reach, message: string): void {
    if (!this.#queue.delete(this)) return;
    this.#events.onEnd({ reach, error: wireError(Code.Unavailable, message), trailer: noFields });
  }

  send(message: Uint8Array): boolean {
    if (this.#call !== undefined) return this.#call.send(message);
    this.#early.push(message);
    return false;
  }

  finish(): void {
    this.#finished = true;
    this.#call?.finish();
  }

  cancel(): void {
    this.#queue.delete(this);
    this.#call?.cancel();
  }

  pause(): void {
    this.#paused = true;
    this.#call?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#call?.resume();
  }
}

/** Sessions that may turn a waiting call away before it is given back to its caller. */
const maxMisses = 3;
