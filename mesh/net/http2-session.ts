/**
 * One HTTP/2 session of node:http2 to one peer.
 *
 *     connecting --SETTINGS of the peer--> ready --GOAWAY, close()--> draining --last stream closed--> closed
 *     connecting --refused, reset, timeout--> closed;   ready, draining --connection lost, ping unanswered--> closed
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type CallSession, Http2Call } from "./http2-call.ts";
import type { WireCall, WireEvents, WireRequest } from "./wire.ts";

/** Opens the socket that a session speaks over: plain TCP for h2c with prior knowledge, or TLS with ALPN h2. */
export type Connect = (address: string) => Socket | TLSSocket;

/** What a session is made with. */
export interface SessionOptions {
  /** host:port; also the calls' :authority. */
  readonly address: string;
  readonly connect: Connect;
  /** Milliseconds until the peer's SETTINGS must have come. */
  readonly connectTimeoutMs: number;
  /** Milliseconds of silence, while calls run, after which the peer is pinged. */
  readonly keepaliveMs: number;
  /** Milliseconds that the peer has to answer a ping. */
  readonly keepaliveTimeoutMs: number;
}

/** What the session's owner hears. */
export interface SessionEvents {
  /** Calls can start. */
  onReady(): void;
  /** A stream closed or the peer allows more of them. */
  onRoom(): void;
  /** No new calls; `goawayCode` when the peer said so by GOAWAY. */
  onDraining(goawayCode: number | undefined): void;
  /** Gone; `wasReady` is false when the connection never came about. Called once. */
  onClosed(reason: string, wasReady: boolean): void;
}

/** Flow-control window of one stream, in bytes: what a paused call holds at most. HTTP/2's own 64 KiB slows large answers. */
const streamWindow = 1 << 20;
/** Flow-control window of the whole connection, in bytes. */
const connectionWindow = 16 << 20;

/** A session that starts to connect at once. Never emits an error that could end the process. */
export class Http2Session implements CallSession {
  readonly address: string;
  readonly #options: SessionOptions;
  readonly #events: SessionEvents;
  readonly #session: ClientHttp2Session;
  readonly #scheme: string;
  #state: "connecting" | "ready" | "draining" | "closed" = "connecting";
  #active = 0;
  #lastStreamId: number | undefined;
  #lost: string | undefined;
  #heardSince = true;
  #pinging = false;
  readonly #connectTimer: NodeJS.Timeout;
  #keepaliveTimer: NodeJS.Timeout | undefined;

  constructor(options: SessionOptions, events: SessionEvents) {
    this.address = options.address;
    this.#options = options;
    this.#events = events;
    const socket = options.connect(options.address);
    this.#scheme = "encrypted" in socket ? "https" : "http";
    const session = connectHttp2(`${this.#scheme}://${options.address}`, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: streamWindow },
    });
    this.#session = session;
    this.#connectTimer = setTimeout(
      () => this.#fail(`no connection within ${options.connectTimeoutMs} ms`),
      options.connectTimeoutMs,
    );
    session.on("remoteSettings", () => this.#onSettings());
    session.on("goaway", (code: number, lastStreamId: number) => this.#onGoaway(code, lastStreamId));
    session.on("error", (error: NodeJS.ErrnoException) => this.#onLost(this.#reasonOf(error)));
    session.on("frameError", () => this.#drain(undefined));
    session.on("close", () => this.#onClose());
  }

  get lastStreamId(): number | undefined {
    return this.#lastStreamId;
  }

  get lost(): string | undefined {
    // The streams of a lost connection close before the session says so itself.
    if (this.#lost === undefined && this.#session.destroyed) return "the connection was lost";
    return this.#lost;
  }

  /** Whether it is ready and has not been told to stop; it may be full all the same. */
  get ready(): boolean {
    return this.#state === "ready" && !this.#session.closed && !this.#session.destroyed;
  }

  /** Whether one more call can start now, by the peer's SETTINGS_MAX_CONCURRENT_STREAMS. */
  get hasRoom(): boolean {
    return this.ready && this.#active < (this.#session.remoteSettings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY);
  }

  /** Running calls. */
  get active(): number {
    return this.#active;
  }

  /** Opens a stream; undefined, and nothing sent, when the session turns out not to take one. */
  start(request: WireRequest, events: WireEvents): WireCall | undefined {
    const stream = this.#open(request);
    if (stream === undefined) return undefined;
    this.#active += 1;
    if (this.#keepaliveTimer === undefined) this.#startKeepalive();
    return new Http2Call(stream, this, request, events);
  }

  heard(): void {
    this.#heardSince = true;
  }

  streamClosed(opened: boolean): void {
    this.#active -= 1;
    // A ready session that opens no stream has used up its stream ids (2^30 calls): time for a new one.
    if (!opened && this.ready) this.close();
    if (this.#active === 0) this.#stopKeepalive();
    this.#events.onRoom();
  }

  /** Pings the peer now; a peer that does not answer in time is gone. For use when a call has had no answer for long. */
  probe(): void {
    if (this.#pinging || this.#session.destroyed || this.#session.connecting) return;
    this.#pinging = true;
    const { keepaliveTimeoutMs } = this.#options;
    const timer = setTimeout(() => this.#fail(`no answer to a ping within ${keepaliveTimeoutMs} ms`), keepaliveTimeoutMs);
    const sent = this.#session.ping(() => {
      clearTimeout(timer);
      this.#pinging = false;
    });
    if (!sent) this.#pinging = false;
    if (!sent) clearTimeout(timer);
  }

  /** Takes no new calls; closes when the running ones have ended. */
  close(): void {
    this.#drain(undefined);
    this.#session.close();
  }

  /** Ends everything at once. Running calls end with UNAVAILABLE. */
  destroy(): void {
    this.#fail("the client closed the connection");
  }

  #open(request: WireRequest): ClientHttp2Stream | undefined {
    try {
      return this.#session.request({
        ":method": "POST",
        ":scheme": this.#scheme,
        ":authority": this.address,
        ":path": request.path,
        te: "trailers",
        "content-type": "application/grpc",
        ...request.header,
      });
    } catch {
      if (this.ready) this.close();
      return undefined;
    }
  }

  #onSettings(): void {
    if (this.#state === "connecting") {
      this.#state = "ready";
      clearTimeout(this.#connectTimer);
      this.#session.setLocalWindowSize(connectionWindow);
      this.#events.onReady();
    } else this.#events.onRoom();
  }

  #onGoaway(code: number, lastStreamId: number): void {
    // A graceful peer sends two: the first with the highest id there is, then the true one.
    this.#lastStreamId = Math.min(lastStreamId, this.#lastStreamId ?? lastStreamId);
    if (code !== 0) this.#lost ??= `the peer closed the connection with GOAWAY ${code}`;
    this.#drain(code);
  }

  #drain(goawayCode: number | undefined): void {
    if (this.#state !== "ready") return;
    this.#state = "draining";
    this.#events.onDraining(goawayCode);
  }

  #onLost(reason: string): void {
    this.#lost ??= reason;
  }

  /** The system's error code rather than its message, which names the address. */
  #reasonOf(error: NodeJS.ErrnoException): string {
    const what = error.code ?? error.message;
    return this.#state === "connecting" ? `no connection: ${what}` : `the connection was lost: ${what}`;
  }

  #fail(reason: string): void {
    this.#onLost(reason);
    this.#session.destroy();
  }

  #onClose(): void {
    clearTimeout(this.#connectTimer);
    this.#stopKeepalive();
    const wasReady = this.#state !== "connecting";
    this.#state = "closed";
    this.#events.onClosed(this.#lost ?? "the peer closed the connection", wasReady);
  }

  #startKeepalive(): void {
    this.#heardSince = true;
    this.#keepaliveTimer = setInterval(() => {
      if (!this.#heardSince) this.probe();
      this.#heardSince = false;
    }, this.#options.keepaliveMs).unref();
  }

  #stopKeepalive(): void {
    clearInterval(this.#keepaliveTimer);
    this.#keepaliveTimer = undefined;
  }
}
