/**
 * The one context of a call: deadline, principal, trace, correlation id, criticality. It crosses every async step of a
 * process in an AsyncLocalStorage and every hop in headers, so no handler passes it by hand.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** Who is calling, proved by a token. */
export interface Principal {
  /** A signed-in person, a person's API key, or another service of the mesh. */
  readonly kind: "user" | "api-key" | "service";
  /** The user's id (a UUID), or the service's name. */
  readonly id: string;
  readonly roles: readonly string[];
  /** The scopes of an API key; empty for people and services, whom scopes do not limit. */
  readonly scopes: readonly string[];
  /** The session or API key that the token came from; empty for services. */
  readonly sessionId: string;
  /** The token itself, to pass on to the next hop; empty for services. */
  readonly token: string;
  /** When the token ends, in milliseconds since the epoch. */
  readonly expiresAt: number;
  /** True when the token was verified by signature alone, since auth could not be asked about revocations. */
  readonly degraded: boolean;
}

/** How dear a call is when load must be shed (Google's SRE book, "Handling Overload"), dearest first. */
export type Criticality = "CRITICAL_PLUS" | "CRITICAL" | "SHEDDABLE_PLUS" | "SHEDDABLE";

/** W3C Trace Context: 32 and 16 lower-case hex digits, the flags byte, and the vendor list as it came. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
  readonly state: string;
}

/** One call on its way through a process. Every field is set at creation, so that all contexts share one hidden class. */
export interface CallContext {
  /** Milliseconds since the epoch; Infinity when the caller set none. */
  readonly deadline: number;
  /** Aborts when the caller goes away or the deadline passes. */
  readonly signal: AbortSignal;
  /** The person or API key in whose name the call is made; undefined when nobody signed in. */
  readonly principal: Principal | undefined;
  /** The service that made the call, when one did and proved it. */
  readonly caller: Principal | undefined;
  readonly trace: TraceContext;
  readonly correlationId: string;
  readonly criticality: Criticality;
  /** The address and program of the outermost client, as the gateway saw them; empty when unknown. */
  readonly client: { readonly address: string; readonly userAgent: string };
}

const storage = new AsyncLocalStorage<CallContext | undefined>();

/** The context of the call that this code runs for, or undefined outside any call. */
export function currentContext(): CallContext | undefined {
  return storage.getStore();
}

/** Runs `work` with `context` as the current one, through all that it awaits. */
export function runWithContext<T>(context: CallContext, work: () => T): T {
  return storage.run(context, work);
}

/**
 * Runs `work` outside any call. For what outlives the call that happens to start it, such as connections, watches and background
 * streams: in that call's context they would end at its deadline, and act in its principal's name.
 */
export function runWithoutContext<T>(work: () => T): T {
  return storage.run(undefined, work);
}

/** What is left of a call for work that it caused and that outlives it: where it came from, and how to find it in the logs. */
export type Origin = Pick<CallContext, "client" | "correlationId" | "trace">;

/** The context of work that `origin` caused and does not wait for: in nobody's name, until `deadline`, and first to be shed. */
export function detachedContext({ client, correlationId, trace }: Origin, deadline: number): CallContext {
  const { signal } = new AbortController();
  return { deadline, signal, principal: undefined, caller: undefined, trace, correlationId, criticality: "SHEDDABLE", client };
}

/** Milliseconds left until the context's deadline at time `now`; Infinity when there is none, never below 0. */
export function remainingMs(context: CallContext | undefined, now: number): number {
  return context === undefined ? Number.POSITIVE_INFINITY : Math.max(0, context.deadline - now);
}
