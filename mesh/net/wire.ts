/**
 * The seam between calls and the network: gRPC messages and statuses above, HTTP/2 frames below. Everything above this file knows
 * nothing of node:http2, so that a faster wire can take its place.
 */
import type { ConnectError } from "@connectrpc/connect";

/** Header fields to send: lower-case names, values as they go out (`-bin` values in base64). */
export type OutgoingFields = Record<string, string | string[]>;

/** Header fields as they came: lower-case names; fields that came repeatedly are joined by ", " or listed. */
export type IncomingFields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Opens calls to one peer. */
export interface Wire {
  /**
   * Starts a call, now or as soon as there is a connection. Never throws, and calls no event before it returns; whatever goes
   * wrong is told by onEnd.
   */
  start(request: WireRequest, events: WireEvents): WireCall;
}

/** One call as the wire needs it. */
export interface WireRequest {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Metadata. The wire itself adds the pseudo-headers, te and content-type. */
  readonly header: OutgoingFields;
  /** The only message of the request, sent along with the header; undefined when messages follow by WireCall.send. */
  readonly message: Uint8Array | undefined;
  /** Bytes that one response message may have, uncompressed; a longer one ends the call with RESOURCE_EXHAUSTED. */
  readonly maxResponseBytes: number;
}

/** What a call hears from the wire, in this order: onHeader at most once, onMessage, onEnd exactly once and last. */
export interface WireEvents {
  /** Response headers came: the server works on the call. Not called when the server answers with nothing but a status. */
  onHeader(header: IncomingFields): void;
  /** One response message, uncompressed. The bytes are the receiver's to keep. */
  onMessage(message: Uint8Array): void;
  /** After WireCall.send returned false: there is room again. */
  onDrain(): void;
  /** The call is over. Not called after WireCall.cancel. */
  onEnd(end: WireEnd): void;
}

/**
 * How far a call came, which decides whether it may be repeated:
 * - `connect`: no connection came about
 * - `unsent`: there was a connection, but it had gone before the request was on it
 * - `refused`: the server says that it has not looked at the request (REFUSED_STREAM, or GOAWAY with a lower last stream id)
 * - `sent`: the server may have worked on it; no answer came
 * - `trailers-only`: the server answered with a status and nothing else
 * - `answered`: response headers came
 */
export type Reach = "connect" | "unsent" | "refused" | "sent" | "trailers-only" | "answered";

/** The end of a call. */
export interface WireEnd {
  readonly reach: Reach;
  /** Undefined for OK. */
  readonly error: ConnectError | undefined;
  /** Where the status was: the trailers, or the only header block. Empty when none came. */
  readonly trailer: IncomingFields;
}

/** A call that was started. */
export interface WireCall {
  /** Sends one message; false asks to wait for onDrain before the next. */
  send(message: Uint8Array): boolean;
  /** No more messages come. */
  finish(): void;
  /** Gives the call up (RST_STREAM CANCEL). No event comes after it. */
  cancel(): void;
  /** Stops and starts the flow of onMessage; the peer is held back by flow control. */
  pause(): void;
  resume(): void;
}

/** For calls that end before anything came. */
export const noFields: IncomingFields = Object.freeze({});
