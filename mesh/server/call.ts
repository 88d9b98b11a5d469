/** One call that this process serves, from its headers to its outcome. */
import type { DescMethod } from "@bufbuild/protobuf";
import { ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { CallContext, Principal, TraceContext } from "../context.ts";
import { canceled, from } from "../errors.ts";

/** The other end of the connection that a call came in on. */
export interface Peer {
  /** `address:port`. */
  readonly address: string;
  /** Ends the call's stream without an answer, when there is nobody left to hear one. */
  reset(): void;
}

/** Where the layers find what the HTTP side knows (put there before the first layer) and the call (by the first layer). */
export const peerKey = createContextKey<Peer>({ address: "unknown", reset: () => undefined });
export const callKey = createContextKey<Call | undefined>(undefined);

/** Hears how a call ended: undefined is OK. */
export type EndListener = (error: ConnectError | undefined) => void;

/** What the layers know of a call and hand on to each other. Ends exactly once. */
export class Call {
  readonly handler: HandlerContext;
  readonly method: DescMethod;
  /** `auth.v1.AuthService/Login`, as in metrics and logs. */
  readonly name: string;
  readonly peer: Peer;
  /** Health and reflection: open to all, without a token, and not logged at info. */
  readonly builtIn: boolean;
  /** When it came, on the clock of performance.now(). */
  readonly startedAt = performance.now();
  /** Aborts when the caller leaves, the deadline passes, or `abort` is called. */
  readonly signal: AbortSignal;
  readonly #controller: AbortController | undefined;
  readonly #endListeners: EndListener[] = [];
  #ended = false;

  /** Set by the trace layer. */
  trace: TraceContext | undefined;
  /** Set by the context layer. */
  context: CallContext | undefined;
  caller: Principal | undefined;
  /** Why the proof of the calling service, where one came, is not believed. */
  callerError: ConnectError | undefined;
  /** What came of the bearer token, for the access rule to judge: a public method goes on without it. */
  tokenError: ConnectError | undefined;
  /** When a message last went out, on the clock of performance.now(). */
  lastSentAt = performance.now();

  constructor(handler: HandlerContext, builtIn: boolean) {
    this.handler = handler;
    this.method = handler.method;
    this.name = `${handler.service.typeName}/${handler.method.name}`;
    this.peer = handler.values.get(peerKey);
    this.builtIn = builtIn;
    // A stream can be ended from this side when the process stops; other calls end by themselves and need no second signal.
    this.#controller = this.streamsOut ? new AbortController() : undefined;
    this.signal = this.#controller?.signal ?? handler.signal;
    handler.signal.addEventListener("abort", () => this.#handlerAborted(), { once: true });
  }

  get streamsOut(): boolean {
    return this.method.methodKind === "server_streaming" || this.method.methodKind === "bidi_streaming";
  }

  /** Why the signal aborted, in words for the caller. */
  get abortError(): ConnectError {
    return endReason(this.signal.reason);
  }

  /** Runs when the call ends, once, however it ends. */
  onEnd(listener: EndListener): void {
    this.#endListeners.push(listener);
  }

  /** The outcome is known; what comes later changes nothing. */
  end(error: ConnectError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const listener of this.#endListeners) listener(error);
  }

  /** Ends a stream from this side. */
  abort(reason: ConnectError): void {
    this.#controller?.abort(reason);
  }

  /** Connect aborts its signal at the end of every call, good or bad, so an outcome that nobody told is told here. */
  #handlerAborted(): void {
    this.#controller?.abort(this.handler.signal.reason);
    this.end(endReason(this.handler.signal.reason));
  }
}

function endReason(reason: unknown): ConnectError {
  return reason instanceof ConnectError
    ? reason
    : reason instanceof Error && reason.name === "AbortError"
      ? canceled()
      : from(reason);
}
