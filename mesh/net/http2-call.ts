/**
 * One gRPC call on one HTTP/2 stream of node:http2.
 *
 *     open --response headers--> answered --trailers, end of stream--> over
 *     open --header block that ends the stream (trailers-only)--> over
 *     any --RST_STREAM, lost connection, malformed frames, cancel()--> over
 */
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { addAbortSignal } from "node:stream";
import { Code, type ConnectError } from "@connectrpc/connect";
import { fieldOf } from "./fields.ts";
import { encodeFrame, FrameDecoder, framePrefix } from "./framing.ts";
import { codeOfHttpStatus, codeOfReset, nameOfReset, readStatus, wireError } from "./status.ts";
import { type IncomingFields, noFields, type Reach, type WireCall, type WireEvents, type WireRequest } from "./wire.ts";

/** What a call must know of its session. */
export interface CallSession {
  /** The last stream that the peer's GOAWAY says it has looked at; undefined before a GOAWAY. */
  readonly lastStreamId: number | undefined;
  /** Why the connection broke; undefined while it has not. */
  readonly lost: string | undefined;
  /** Something came from the peer. */
  heard(): void;
  /** The stream has closed and its place is free; `opened` is false when it never got an id. */
  streamClosed(opened: boolean): void;
}

/**
 * Drives `stream`, which has just been opened for `request`. Its errors name no address: they may go on to callers, who need not know where a
 * service runs; the log says which endpoint was picked.
 */
export class Http2Call implements WireCall {
  readonly #stream: ClientHttp2Stream;
  readonly #session: CallSession;
  readonly #events: WireEvents;
  readonly #maxBytes: number;
  #decoder: FrameDecoder | undefined;
  #header: IncomingFields | undefined;
  #trailer: IncomingFields | undefined;
  /** True for an answer of something that does not speak gRPC, such as a proxy's error page. */
  #foreign = false;
  #over = false;
  #resetByUs = false;
  readonly #onMessage = (message: Uint8Array): void => {
    if (!this.#over) this.#events.onMessage(message);
  };

  constructor(stream: ClientHttp2Stream, session: CallSession, request: WireRequest, events: WireEvents) {
    this.#stream = stream;
    this.#session = session;
    this.#events = events;
    this.#maxBytes = request.maxResponseBytes;
    stream.on("response", (fields, flags) => this.#onResponse(fields, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0));
    stream.on("data", (chunk: Buffer) => this.#onData(chunk));
    stream.on("trailers", (fields) => {
      this.#trailer = fields;
    });
    stream.on("end", () => this.#onStreamEnd());
    stream.on("drain", () => {
      if (!this.#over) this.#events.onDrain();
    });
    // Without a listener an error event ends the process. What went wrong is read from rstCode when the stream closes.
    stream.on("error", () => {});
    stream.on("close", () => this.#onClose());
    if (request.message !== undefined) stream.end(encodeFrame(request.message));
  }

  send(message: Uint8Array): boolean {
    if (this.#over || this.#stream.writableEnded) return true;
    if (message.byteLength < longMessage) return this.#stream.write(encodeFrame(message));
    // Corked, so that prefix and message still leave together.
    this.#stream.cork();
    this.#stream.write(framePrefix(message.byteLength));
    const room = this.#stream.write(message);
    this.#stream.uncork();
    return room;
  }

  finish(): void {
    if (!this.#over) this.#stream.end();
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#reset();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  #onResponse(fields: IncomingHttpHeaders, isEnd: boolean): void {
    this.#session.heard();
    if (this.#over) return;
    if (isEnd) {
      this.#trailer = fields;
      this.#end("trailers-only", this.#status(fields));
      return;
    }
    this.#header = fields;
    this.#foreign = !isGrpc(fields);
    if (this.#foreign) return;
    this.#decoder = new FrameDecoder(this.#maxBytes, fieldOf(fields, "grpc-encoding") ?? "identity");
    this.#events.onHeader(fields);
  }

  #onData(chunk: Buffer): void {
    this.#session.heard();
    if (this.#over || this.#decoder === undefined) return;
    const mistake = this.#decoder.push(chunk, this.#onMessage);
    if (mistake !== undefined) this.#end("answered", mistake);
  }

  /** Everything the peer sent has been read. Without trailers the reason for the end is known only when the stream closes. */
  #onStreamEnd(): void {
    if (this.#over) return;
    if (this.#trailer !== undefined) this.#end(this.#answerReach(), this.#statusAfterMessages(this.#trailer));
    else if (!this.#stream.writableEnded) this.#reset();
  }

  #onClose(): void {
    this.#session.streamClosed(this.#stream.id !== undefined);
    if (this.#over) return;
    if (this.#trailer !== undefined) this.#end(this.#answerReach(), this.#statusAfterMessages(this.#trailer));
    else if (this.#stream.rstCode === constants.NGHTTP2_CANCEL && !this.#resetByUs) this.#awaitLoss();
    else this.#endWithoutStatus();
  }

  /** A server that is shut down by force cancels its streams first and closes the connection then: only that tells the two apart. */
  #awaitLoss(): void {
    if (this.#session.lost !== undefined) this.#endWithoutStatus();
    else setTimeout(() => this.#over || this.#endWithoutStatus(), lossGraceMs);
  }

  #endWithoutStatus(): void {
    const { lost, lastStreamId } = this.#session;
    const { id, rstCode } = this.#stream;
    const answered = this.#header !== undefined;
    // A peer that has answered has looked at the request, whatever its GOAWAY says.
    const refused = rstCode === constants.NGHTTP2_REFUSED_STREAM || (lastStreamId !== undefined && (id ?? 0) > lastStreamId);
    const reach = answered ? "answered" : "sent";
    if (id === undefined) this.#end("unsent", wireError(Code.Unavailable, "the connection had gone"));
    else if (refused && !answered) this.#end("refused", wireError(Code.Unavailable, "the peer refused the stream"));
    else if (lost !== undefined) this.#end(reach, wireError(Code.Unavailable, lost));
    else if (rstCode !== constants.NGHTTP2_NO_ERROR && !this.#resetByUs) {
      const message = `the peer reset the stream with ${nameOfReset(rstCode)}`;
      this.#end(reach, wireError(codeOfReset(rstCode), message));
    } else this.#end(this.#answerReach(), this.#status(noFields));
  }

  /** A foreign answer binds nobody: to retries it is the same as a status alone. */
  #answerReach(): Reach {
    if (this.#foreign) return "trailers-only";
    return this.#header === undefined ? "sent" : "answered";
  }

  #statusAfterMessages(trailer: IncomingFields): ConnectError | undefined {
    const status = this.#status(trailer);
    if (status === undefined && this.#decoder?.complete === false) {
      return wireError(Code.Internal, "malformed response: it ends within a message");
    }
    return status;
  }

  #status(trailer: IncomingFields): ConnectError | undefined {
    const status = readStatus(trailer, this.#header);
    if (status !== "missing") return status;
    const http = Number(this.#header?.[":status"] ?? trailer[":status"] ?? 0);
    const got =
      http === 200
        ? `${fieldOf(this.#header ?? trailer, "content-type") ?? "no content-type"} without grpc-status`
        : `HTTP ${http}`;
    return wireError(codeOfHttpStatus(http), `the peer answered with ${http === 0 ? "nothing" : got}`);
  }

  #end(reach: Reach, error: ConnectError | undefined): void {
    this.#over = true;
    // The peer may have answered before the request was whole, or we may have stopped reading: either way the stream still lives.
    if (!this.#stream.closed && (!this.#stream.writableEnded || !this.#stream.readableEnded)) this.#reset();
    this.#events.onEnd({ reach, error, trailer: this.#trailer ?? noFields });
  }

  #reset(): void {
    this.#resetByUs = true;
    // close(CANCEL) would first end the request, and half a request must not look whole; an abort resets with CANCEL alone.
    addAbortSignal(aborted, this.#stream);
  }
}

const aborted = AbortSignal.abort();

/** Bytes from which a message is written as it is instead of copied behind its prefix. */
const longMessage = 16 * 1024;

/** Milliseconds in which the end of the connection may follow a stream that the peer cancelled. */
const lossGraceMs = 20;

function isGrpc(fields: IncomingHttpHeaders): boolean {
  return Number(fields[":status"]) === 200 && (fields["content-type"] ?? "").startsWith("application/grpc");
}
