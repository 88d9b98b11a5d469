/**
 * The connection to one endpoint: a Wire over as many HTTP/2 sessions as its calls need, mostly one.
 *
 *     idle --call or connect()--> connecting --> ready --GOAWAY or loss--> idle
 *     connecting --failed--> backoff --time over--> idle;   any --close()--> closed
 */
import { connect as connectTcp } from "node:net";
import { runWithoutContext } from "../context.ts";
import { type BackoffPolicy, backoffMs } from "../policy/retry.ts";
import { type Connect, Http2Session, type SessionEvents } from "./http2-session.ts";
import { WaitingCall } from "./waiting-call.ts";
import type { Reach, Wire, WireCall, WireEvents, WireRequest } from "./wire.ts";

/** What a connection may be told besides its address. */
export interface ConnectionOptions {
  /** How to open a socket. Default: TCP without TLS, h2c with prior knowledge. */
  readonly connect?: Connect;
  /** Milliseconds to connect and to get the peer's SETTINGS. Default 2000: endpoints of a mesh are near. */
  readonly connectTimeoutMs?: number;
  /** Delays after failures to connect. Default 100 ms x 1.6 up to 5 s: the registry tells soon which endpoints are gone. */
  readonly backoff?: BackoffPolicy;
  /** Milliseconds of silence under running calls before a ping. Default 20,000. */
  readonly keepaliveMs?: number;
  /** Milliseconds for the answer to a ping. Default 5000. */
  readonly keepaliveTimeoutMs?: number;
  /** Sessions at once when the peer limits the streams of one. Default 8; calls beyond wait. */
  readonly maxSessions?: number;
  /** Calls that may wait for a connection or a free stream; more are ended as `unsent`. Default 10,000. */
  readonly maxWaiting?: number;
  /** Called at each change of state. */
  readonly onState?: (connection: Connection) => void;
  /** Milliseconds since the epoch. Default Date.now. */
  readonly clock?: () => number;
  /** Uniform in [0, 1), for jitter. Default Math.random. */
  readonly random?: () => number;
}

/** What a connection can do at the moment; `backoff`: it failed lately and is left alone until `retryAt`. */
export type ConnectionState = "idle" | "connecting" | "ready" | "backoff" | "closed";

/** HTTP/2's ENHANCE_YOUR_CALM, as a server says it to a client that pings too often (gRFC A8). */
const enhanceYourCalm = 11;

/** A lazy connection: it connects at the first call, and again whenever one needs it. */
export class Connection implements Wire {
  /** host:port. */
  readonly address: string;
  readonly #options: Required<Omit<ConnectionOptions, "onState">> & Pick<ConnectionOptions, "onState">;
  readonly #sessions = new Set<Http2Session>();
  readonly #draining = new Set<Http2Session>();
  #connecting: Http2Session | undefined;
  #waiting = new Set<WaitingCall>();
  #failures = 0;
  #retryAt = 0;
  #closed = false;
  #lastFailure = "";
  #keepaliveMs: number;

  constructor(address: string, options: ConnectionOptions = {}) {
    this.address = address;
    this.#options = { ...defaults, ...options };
    this.#keepaliveMs = this.#options.keepaliveMs;
  }

  get state(): ConnectionState {
    if (this.#closed) return "closed";
    for (const session of this.#sessions) if (session.ready) return "ready";
    if (this.#connecting !== undefined) return "connecting";
    return this.#options.clock() < this.#retryAt ? "backoff" : "idle";
  }

  /** When the backoff ends, in milliseconds since the epoch; in the past when there is none. */
  get retryAt(): number {
    return this.#retryAt;
  }

  /** Running calls. */
  get active(): number {
    let sum = 0;
    for (const session of this.#sessions) sum += session.active;
    for (const session of this.#draining) sum += session.active;
    return sum;
  }

  /** Connects ahead of the first call; does nothing unless idle. */
  connect(): void {
    if (this.state === "idle") this.#openSession();
  }

  /** Forgets earlier failures, since there is news that the peer is up. */
  resetBackoff(): void {
    this.#failures = 0;
    this.#retryAt = 0;
  }

  start(request: WireRequest, events: WireEvents): WireCall {
    for (const session of this.#sessions) {
      const call = session.hasRoom ? session.start(request, events) : undefined;
      if (call !== undefined) return call;
    }
    const waiting = new WaitingCall(request, events, this.#waiting);
    const obstacle = this.#obstacle();
    if (obstacle === undefined) this.#wantSession();
    else queueMicrotask(() => waiting.fail(obstacle.reach, obstacle.reason));
    return waiting;
  }

  /** Asks whether the peer still lives; for use after a call that had no answer in time. */
  probe(): void {
    for (const session of this.#sessions) session.probe();
  }

  /** No new calls; each session closes when its calls have ended. */
  close(): void {
    this.#closed = true;
    this.#connecting?.destroy();
    for (const session of [...this.#sessions]) session.close();
    this.#failWaiting("unsent", "the connection was closed");
    this.#options.onState?.(this);
  }

  /** Ends everything at once; running calls end with UNAVAILABLE. */
  destroy(): void {
    this.close();
    for (const session of [...this.#sessions, ...this.#draining]) session.destroy();
  }

  #obstacle(): { reach: Reach; reason: string } | undefined {
    if (this.#closed) return { reach: "unsent", reason: "the connection was closed" };
    if (this.state === "backoff") return { reach: "connect", reason: this.#lastFailure };
    return this.#waiting.size > this.#options.maxWaiting ? { reach: "unsent", reason: "too many calls wait for it" } : undefined;
  }

  #wantSession(): void {
    const mayRetry = this.#options.clock() >= this.#retryAt;
    if (this.#connecting === undefined && mayRetry && this.#sessions.size < this.#options.maxSessions) this.#openSession();
  }

  #openSession(): void {
    const { connect, connectTimeoutMs, keepaliveTimeoutMs } = this.#options;
    const keepaliveMs = this.#keepaliveMs;
    const options = { address: this.address, connect, connectTimeoutMs, keepaliveMs, keepaliveTimeoutMs };
    const events: SessionEvents = {
      onReady: () => this.#onReady(session),
      onRoom: () => this.#startWaiting(),
      onDraining: (code) => this.#onDraining(session, code),
      onClosed: (reason, wasReady) => this.#onClosed(session, reason, wasReady),
    };
    const session: Http2Session = runWithoutContext(() => new Http2Session(options, events));
    this.#connecting = session;
    this.#options.onState?.(this);
  }

  #onReady(session: Http2Session): void {
    if (this.#connecting === session) this.#connecting = undefined;
    this.resetBackoff();
    this.#sessions.add(session);
    this.#startWaiting();
    this.#options.onState?.(this);
  }

  #onDraining(session: Http2Session, goawayCode: number | undefined): void {
    this.#sessions.delete(session);
    this.#draining.add(session);
    if (goawayCode === enhanceYourCalm) this.#keepaliveMs *= 2;
    if (this.#waiting.size > 0 && !this.#closed) this.#wantSession();
    this.#options.onState?.(this);
  }

  #onClosed(session: Http2Session, reason: string, wasReady: boolean): void {
    this.#sessions.delete(session);
    this.#draining.delete(session);
    if (this.#connecting === session) this.#connecting = undefined;
    if (this.#closed) return;
    if (!wasReady) this.#onFailure(reason);
    else if (this.#waiting.size > 0) this.#wantSession();
    this.#options.onState?.(this);
  }

  #onFailure(reason: string): void {
    const { clock, backoff, random } = this.#options;
    this.#failures += 1;
    this.#retryAt = clock() + backoffMs(backoff, this.#failures, random());
    this.#lastFailure = reason;
    // Other sessions still serve: calls that wait for a free stream go on waiting for theirs.
    if (this.#sessions.size === 0) this.#failWaiting("connect", reason);
  }

  #startWaiting(): void {
    if (this.#waiting.size === 0) return;
    for (const session of this.#sessions) {
      for (const call of this.#waiting) {
        if (!session.hasRoom) break;
        if (!call.startOn(session)) break;
      }
    }
    if (this.#waiting.size > 0 && !this.#closed) this.#wantSession();
  }

  #failWaiting(reach: Reach, reason: string): void {
    for (const call of [...this.#waiting]) call.fail(reach, reason);
  }
}

const defaults = {
  connect: (address: string) => {
    const colon = address.lastIndexOf(":");
    const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
    return connectTcp({ host, port: Number(address.slice(colon + 1)), noDelay: true });
  },
  connectTimeoutMs: 2000,
  backoff: { initialBackoffMs: 100, maxBackoffMs: 5000, backoffMultiplier: 1.6 },
  keepaliveMs: 20_000,
  keepaliveTimeoutMs: 5000,
  maxSessions: 8,
  maxWaiting: 10_000,
  clock: Date.now,
  random: Math.random,
} satisfies ConnectionOptions;
